"""Models that turn the axes of their input, as those do that were trained on (x, y, z): against the
same models that see the image as it is, with their weights turned."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import fastcam
from fastcam.attribution.geometry.fields import NOT_FOLLOWED

METHODS = ["gradcam", "hirescam", "layercam", "gradcam++", "eigencam", "scorecam", "ablationcam"]


class Net(nn.Module):
    """Two convolutions; ``axes`` are those of the image in the order in which they see them."""

    def __init__(self, axes: tuple[int, ...], back: bool = False) -> None:
        super().__init__()
        conv = nn.Conv2d if len(axes) == 2 else nn.Conv3d
        self.first, self.second = conv(1, 4, 3, padding=1), conv(4, 5, 3, stride=2)
        self.head = nn.Linear(5, 3)
        self.axes, self.back = axes, back

    def forward(self, x: Tensor) -> Tensor:
        turn = (0, 1, *(2 + axis for axis in self.axes))
        x = self.first(x.permute(turn)).relu()
        if self.back:
            x = x.permute(0, 1, *(2 + self.axes.index(axis) for axis in range(len(self.axes))))
        x = self.second(x).relu()
        answer: Tensor = self.head(x.flatten(2).mean(2))
        return answer


def _pair(axes: tuple[int, ...], back: bool) -> tuple[Net, Net]:
    """A model that turns its input, and the same without."""
    torch.manual_seed(0)
    turning, plain = Net(axes, back).eval(), Net(tuple(range(len(axes)))).eval()
    plain.load_state_dict(turning.state_dict())
    order = (0, 1, *(2 + axes.index(axis) for axis in range(len(axes))))
    with torch.no_grad():
        for name in ("first",) if back else ("first", "second"):
            weight = getattr(plain, name).weight
            weight.copy_(weight.permute(order).clone())
    return turning, plain


@pytest.mark.parametrize("back", [False, True], ids=["kept", "turned back"])
@pytest.mark.parametrize(
    ("axes", "size"),
    [
        ((1, 0), (16, 16)),
        ((1, 0), (13, 18)),
        ((2, 1, 0), (12, 12, 12)),
        ((2, 1, 0), (9, 11, 14)),
        ((1, 2, 0), (9, 11, 14)),
    ],
)
def test_maps_are_those_of_the_model_that_turns_nothing(
    axes: tuple[int, ...], size: tuple[int, ...], back: bool
) -> None:
    turning, plain = _pair(axes, back)
    image = torch.randn(2, 1, *size, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(turning(image), plain(image))
    layers = ["first", "second"]
    found = fastcam.explain(turning, image, METHODS, layers, image_size=size)
    expected = fastcam.explain(plain, image, METHODS, layers, image_size=size)
    assert list(found.maps) == list(expected.maps)
    for name, values in expected.maps.items():
        torch.testing.assert_close(found.maps[name], values, atol=1e-5, rtol=1e-4, msg=name)
        assert found.facts[name].field == expected.facts[name].field
        assert found.facts[name].note == expected.facts[name].note == ""


class Tokens(nn.Module):
    """Patches of an image that is turned, as tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.mix = nn.Conv2d(1, 6, 4, 4), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.mix(self.patches(x.transpose(2, 3)).flatten(2).transpose(1, 2))
        return answer.mean(1)


def test_tokens_of_an_image_that_is_turned_have_a_note() -> None:
    """In which order they lie can't be followed, and is said."""
    torch.manual_seed(0)
    result = fastcam.explain(Tokens().eval(), torch.randn(1, 1, 16, 16), "hirescam", "mix")
    assert [facts.note for facts in result.facts.values()] == [NOT_FOLLOWED]


class Squeezed(nn.Module):
    """An axis is taken out while the others are turned."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.conv(x.squeeze(1).transpose(1, 2).unsqueeze(1)).mean((2, 3))
        return answer


def test_what_is_turned_without_its_channels_has_a_note() -> None:
    torch.manual_seed(0)
    result = fastcam.explain(Squeezed().eval(), torch.randn(1, 1, 16, 16), "gradcam", "conv")
    assert [facts.note for facts in result.facts.values()] == [NOT_FOLLOWED]
