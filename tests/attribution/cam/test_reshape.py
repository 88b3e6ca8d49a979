"""How a layer's output lies is found from its shape, the image and the layer's own weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fastcam.attribution.cam.reshape import (
    Layout,
    apply_reshape,
    layout_of,
    require_layout,
    to_maps,
)
from fastcam.errors import InputError

from ..nets import Tokens

PLAIN = nn.Sequential(nn.ReLU())


@pytest.mark.parametrize(
    ("module", "shape", "image", "expected"),
    [
        (nn.Conv2d(3, 512, 1), (2, 512, 7, 7), (224, 224), ("channels first", 512, (7, 7))),
        (nn.ReLU(), (2, 64, 7, 10), (224, 320), ("channels first", 64, (7, 10))),
        (nn.ReLU(), (2, 7, 7, 64), (224, 224), ("channels last", 64, (7, 7))),
        (nn.ReLU(), (2, 7, 10, 96), (224, 320), ("channels last", 96, (7, 10))),
        # 14 is as good a number of channels as of rows: the weights decide.
        (nn.LayerNorm(14), (2, 14, 14, 14), (224, 224), ("channels last", 14, (14, 14))),
        (nn.Conv2d(3, 14, 1), (2, 14, 14, 14), (224, 224), ("channels first", 14, (14, 14))),
        (nn.LayerNorm(96), (2, 56, 56, 96), (224, 224), ("channels last", 96, (56, 56))),
        (nn.BatchNorm3d(8), (1, 8, 4, 7, 7), (16, 112, 112), ("channels first", 8, (4, 7, 7))),
        # A stride of its own for the slices.
        (nn.Conv3d(1, 8, 1), (1, 8, 16, 7, 7), (16, 112, 112), ("channels first", 8, (16, 7, 7))),
        (nn.LayerNorm(8), (1, 4, 7, 7, 8), (16, 28, 28), ("channels last", 8, (4, 7, 7))),
        (nn.ReLU(), (2, 512, 1, 1), (224, 224), None),
        (nn.Linear(4, 4), (2, 512), (224, 224), None),
        (nn.Softmax(-1), (2, 3, 197, 197), (32, 32), None),
    ],
)
def test_dense_layers(
    module: nn.Module,
    shape: tuple[int, ...],
    image: tuple[int, ...],
    expected: tuple[str, int, tuple[int, ...]] | None,
) -> None:
    found = layout_of(PLAIN, module, shape, image)
    assert found == (None if expected is None else Layout(*expected))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prefix", "given", "tokens", "image", "grid", "dropped"),
    [
        (1, None, 197, (224, 224), (14, 14), 1),
        (5, None, 201, (224, 224), (14, 14), 5),
        (1, None, 61, (96, 160), (6, 10), 1),
        # Blocks before the CLS token joins.
        (1, None, 196, (224, 224), (14, 14), 0),
        (1, 2, 198, (224, 224), (14, 14), 2),
        (1, None, 50, (224, 224), (7, 7), 1),
    ],
)
def test_tokens(
    prefix: int,
    given: int | None,
    tokens: int,
    image: tuple[int, int],
    grid: tuple[int, int],
    dropped: int,
) -> None:
    model = Tokens(prefix=prefix)
    found = layout_of(model, model.norm, (2, tokens, 8), image, given)
    assert found == Layout("tokens", 8, grid, dropped)


def test_tokens_of_a_model_that_tells_nothing_and_of_volumes() -> None:
    assert layout_of(PLAIN, PLAIN, (1, 197, 8), (224, 224)) == Layout("tokens", 8, (14, 14), 1)
    assert layout_of(PLAIN, PLAIN, (1, 32, 8), (32, 64, 64)) == Layout("tokens", 8, (2, 4, 4))
    assert layout_of(PLAIN, PLAIN, (1, 1, 8), (224, 224)) is None
    assert layout_of(Tokens(), PLAIN, (1, 12, 8), (224, 224), 1) is None


def test_positions_stay_where_they_are() -> None:
    maps = torch.randn(2, 3, 4, 5)
    prefix = torch.full((2, 2, 3), torch.nan)
    tokens = torch.cat([prefix, maps.flatten(2).mT], 1)
    assert torch.equal(to_maps(tokens, Layout("tokens", 3, (4, 5), 2)), maps)
    last = maps.movedim(1, -1)
    assert torch.equal(to_maps(last, Layout("channels last", 3, (4, 5))), maps)
    assert to_maps(maps, Layout("channels first", 3, (4, 5))) is maps


def test_what_can_not_be_reshaped() -> None:
    model, values = Tokens(), torch.ones(2, 12, 8)
    with pytest.raises(
        InputError, match=r"layer 'norm' gives \(2, 12, 8\), which is not a grid .*--pr"
    ):
        require_layout("norm", model, model.norm, values, (224, 224), prefix_tokens=1)
    with pytest.raises(InputError, match="not \\(images, channels, height, width\\)"):
        require_layout("norm", model, model.norm, values, (224, 224), reshape="none")
    with pytest.raises(InputError, match="callable makes"):
        apply_reshape("norm", lambda x: x, values, (224, 224))
