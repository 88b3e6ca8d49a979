"""Where maps lie: by the gradient of a cell with respect to the image, and by bright dots."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import fastcam
from fastcam.attribution.geometry.fields import NOT_FOLLOWED, field_of, layer_grids
from fastcam.store.map_fields import MapField, over_input
from tests.torchvision_import import torchvision


class Dot(nn.Module):
    """All weights are 1: what a layer gives is high where the one bright pixel is."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)
        for parameter in self.parameters():
            nn.init.constant_(parameter, 1.0 if parameter.ndim > 1 else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.body(x).sum((2, 3))
        return answer


class Pad(nn.Module):
    """Pads both sides to whole patches, at the right and below, or around."""

    def __init__(self, patch: int, around: bool = False) -> None:
        super().__init__()
        self.patch, self.around = patch, around

    def forward(self, x: Tensor) -> Tensor:
        more = [-side % self.patch for side in x.shape[:1:-1]]
        first = [number // 2 if self.around else 0 for number in more]
        ends = [n for f, m in zip(first, more, strict=True) for n in (f, m - f)]
        return F.pad(x, ends)


class Call(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def conv(kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> nn.Module:
    return nn.Conv2d(1, 1, kernel, stride, padding, dilation)


# By name a network, and how many pixels its cells are apart.
NETS: dict[str, tuple[Callable[[], Dot], int]] = {
    "3/2/1 twice": (lambda: Dot(conv(3, 2, 1), conv(3, 2, 1)), 4),
    "3/2/1 five times": (lambda: Dot(*(conv(3, 2, 1) for _ in range(5))), 32),
    "7/2/3 and pool 3/2/1": (lambda: Dot(conv(7, 2, 3), nn.MaxPool2d(3, 2, 1)), 4),
    "patches, padded": (lambda: Dot(Pad(16), conv(16, 16)), 16),
    "patches, padded around": (lambda: Dot(Pad(16, around=True), conv(16, 16)), 16),
    "patches, rest cut off": (lambda: Dot(conv(16, 16)), 16),
    "ceil mode": (
        lambda: Dot(*(nn.MaxPool2d(2, 2, ceil_mode=True) for _ in range(3))),
        8,
    ),
    "ceil mode of means": (
        lambda: Dot(nn.AvgPool2d(3, 2, ceil_mode=True), nn.AvgPool2d(2, 2, ceil_mode=True)),
        4,
    ),
    "valid": (lambda: Dot(conv(5, 2), conv(5), conv(3, 2), conv(3, 2)), 8),
    "same": (lambda: Dot(nn.Conv2d(1, 1, 4, padding="same"), conv(2, 2)), 2),
    "mirrored margin": (lambda: Dot(nn.ReflectionPad2d(3), conv(7, 2), conv(2, 2)), 4),
    "turned over": (lambda: Dot(Call(lambda x: x.flip(-1, 2)), Pad(8), conv(8, 8)), 8),
}
SIZES = sorted({int(size) for size in np.linspace(33, 130, 40).round()})


def placed(result: fastcam.api.explain.Explanation, name: str, size: tuple[int, int]) -> Tensor:
    """The first map over its image as a figure draws it."""
    field = result.facts[name].field
    values = torch.from_numpy(over_input(result.maps[name][0], field))
    if field is None:
        values = F.interpolate(values[None, None], size, mode="bilinear")[0, 0]
    return values


def distance(values: Tensor, row: int, column: int) -> int:
    """From the dot to the nearest place where the map is highest, along the farther axis."""
    highest = (values >= values.max() * (1 - 1e-6)).nonzero()
    return int((highest - torch.tensor([row, column])).abs().amax(1).min())


@pytest.mark.parametrize("name", NETS)
def test_the_peak_is_within_half_a_patch_of_the_dot(name: str) -> None:
    make, patch = NETS[name]
    model = make().eval()
    rng = np.random.default_rng(0)
    assert len(SIZES) == 40
    for number, width in enumerate(SIZES):
        height = SIZES[number * 7 % 40]
        row, column = int(rng.integers(height)), int(rng.integers(width))
        image = torch.zeros(1, 1, height, width)
        image[0, 0, row, column] = 1.0
        result = fastcam.explain(model, image, "hirescam", ["body"])
        if not result.maps["body"].any():
            # Beyond the last whole patch, and between the windows of none.
            assert name in ("patches, rest cut off", "valid")
            continue
        values = placed(result, "body", (height, width))
        reach = patch / 2
        if result.facts["body"].field is None:
            # The cells share the input out, as everybody draws them: windows of 3 every 2 pixels
            # are centred up to half a cell before theirs.
            assert height % patch == width % patch == 0
            reach *= 2
        assert distance(values, row, column) <= reach, (height, width, row, column)


def test_nothing_of_the_padded_margin_is_drawn() -> None:
    """Without, the last patch is drawn too narrow, and all others are moved and narrowed."""
    model = Dot(Pad(16), conv(16, 16)).eval()
    image = torch.ones(1, 1, 33, 48)
    result = fastcam.explain(model, image, "hirescam", ["body"])
    assert result.facts["body"].field == MapField(
        (33, 48), (0.0, 0.0), (16.0, 16.0), ((0.0, 33.0), (0.0, 48.0))
    )
    values = placed(result, "body", (33, 48))
    assert values.shape == (33, 48)
    # Cells of rows have their centres at 8, 24 and 40; the last one has 16 pixels of the image.
    np.testing.assert_allclose(values[:24], 256.0)
    np.testing.assert_allclose(values[32], 256 - 240 * (32.5 - 24) / 16)


def profile(model: nn.Module, layer: str, cell: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """|∂ cell / ∂ image| (h, w) of one place of a layer."""
    kept: list[Tensor] = []
    handle = model.get_submodule(layer).register_forward_hook(lambda _m, _i, o: kept.append(o))
    image = torch.rand(1, 1, *size, requires_grad=True)
    model(image)
    handle.remove()
    gradient = torch.autograd.grad(kept[0][0, 0][cell], image)[0]
    return gradient[0, 0].abs()


LAYERS = st.one_of(
    st.tuples(
        st.just("conv"),
        st.integers(1, 5),
        st.integers(1, 3),
        st.integers(0, 2),
        st.integers(1, 2),
    ),
    st.tuples(st.just("mean"), st.integers(2, 3), st.integers(1, 3), st.booleans()),
    st.tuples(st.just("pad"), st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.just("cut"), st.integers(0, 2), st.integers(1, 3)),
    st.tuples(st.just("flip")),
    st.tuples(st.just("transposed"), st.integers(2, 4), st.integers(1, 2)),
)


def layer_of(kind: str, *numbers: int) -> nn.Module:
    if kind == "conv":
        kernel, stride, padding, dilation = numbers
        return nn.Conv2d(1, 1, kernel, stride, padding, dilation)
    if kind == "mean":
        kernel, stride, ceil = numbers
        return nn.AvgPool2d(kernel, stride, ceil_mode=bool(ceil))
    if kind == "pad":
        return nn.ZeroPad2d((numbers[0], numbers[1], numbers[1], numbers[0]))
    if kind == "cut":
        start, step = numbers
        return Call(lambda x: x[:, :, start::step, start::step])
    if kind == "flip":
        return Call(lambda x: x.flip(2, 3))
    return nn.ConvTranspose2d(1, 1, numbers[0], numbers[1])


@settings(deadline=None, max_examples=150)
@given(st.lists(LAYERS, min_size=1, max_size=5))
def test_cells_are_centred_where_their_gradient_is(layers: list[tuple[object, ...]]) -> None:
    """With all weights 1 what a cell sees is symmetric around its centre, far from the edges."""
    size = (151, 150)
    model = Dot(*(layer_of(*layer) for layer in layers)).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        try:
            cells = model.body(torch.zeros(1, 1, *size)).shape[2:]
        except RuntimeError:  # a kernel larger than what is left of the image
            reject()
    assume(min(cells) >= 3)
    grid = layer_grids(model, {"body": model.body}, torch.zeros(1, 1, *size))["body"]
    assert grid is not None
    assert grid.sizes == tuple(cells)
    middle = (cells[0] // 2, cells[1] // 2)
    # A fractional stride puts cells between pixels, where the gradient of neighbours differs.
    fractional = any(layer[0] == "transposed" and layer[2] == 2 for layer in layers)
    # Taps lie at most a dilation of 2 and all strides apart: nearer to an edge one may be cut off.
    steps = [numbers[1] for kind, *numbers in layers if kind in ("conv", "mean", "cut")]
    reach = 2 * math.prod(int(str(step)) for step in steps)
    seen = profile(model, "body", middle, size)
    for axis, side in enumerate(size):
        along = seen.sum(1 - axis).nonzero()[:, 0]
        if along.min() < reach or along.max() >= side - reach:
            continue
        centre = (int(along.min()) + int(along.max()) + 1) / 2
        expected = grid.offset[axis] + (middle[axis] + 0.5) * grid.stride[axis]
        assert abs(expected - centre) <= (1.5 * max(grid.cells) if fractional else 1e-6)


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("side", [17, 40, 90])
def test_interpolation(align: bool, side: int) -> None:
    """A ramp says where it was measured: what a pixel has is its own place in the image."""
    size = (30, 45)
    ramp = torch.arange(45.0).expand(1, 1, *size) + 0.5
    resize = Call(lambda x: F.interpolate(x, (side, side), mode="bilinear", align_corners=align))
    grid = layer_grids(nn.Sequential(resize), {"0": resize}, ramp)["0"]
    assert grid is not None
    found = resize(ramp)[0, 0, 0]
    expected = grid.offset[1] + (torch.arange(side) + 0.5) * grid.stride[1]
    torch.testing.assert_close(found, expected.clamp(0.5, 44.5), rtol=1e-4, atol=1e-3)


def test_parts_of_the_image() -> None:
    """Halves lie over themselves, what both were put into nowhere, and the whole again does."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.joined, self.beside = conv(2, 2), conv(1), conv(1)

        def forward(self, x: Tensor) -> Tensor:
            left, right = self.conv(x[..., :20]), self.conv(x[..., 20:])
            together: Tensor = self.joined(left + right)
            beside: Tensor = self.beside(torch.cat([left, right], -1))
            return together.sum((2, 3)) + beside.sum((2, 3))

    model = Two().eval()
    layers = {name: model.get_submodule(name) for name in ("conv", "joined", "beside")}
    grids = layer_grids(model, layers, torch.zeros(1, 1, 10, 40))
    fields = {name: field_of(grid, (5, 10), (10, 40)) for name, grid in grids.items()}
    assert fields["conv#0"] == MapField(
        (10, 40), (0.0, 0.0), (2.0, 2.0), ((0.0, 10.0), (0.0, 20.0))
    )
    assert fields["conv#1"] == MapField(
        (10, 40), (0.0, 20.0), (2.0, 2.0), ((0.0, 10.0), (20.0, 40.0))
    )
    assert grids["joined"] is None
    assert field_of(grids["beside"], (5, 20), (10, 40)) is None
    assert grids["beside"] is not None


def test_volumes() -> None:
    model = nn.Sequential(nn.Conv3d(1, 2, 3, 2), nn.MaxPool3d(2, ceil_mode=True)).eval()
    grid = layer_grids(model, {"1": model[1]}, torch.zeros(1, 1, 16, 20, 33))["1"]
    assert field_of(grid, (4, 5, 8), (16, 20, 33)) == MapField(
        (16, 20, 33), (0.5, 0.5, 0.5), (4.0, 4.0, 4.0), ((0.0, 16.0), (0.0, 20.0), (0.0, 33.0))
    )


@pytest.mark.parametrize(
    "name", ["resnet18", "vgg11", "densenet121", "mobilenet_v3_small", "swin_t", "vit_b_32"]
)
def test_usual_networks_at_their_size_share_the_input_out(name: str) -> None:
    """So that their figures are those of everybody."""
    from fastcam.attribution.cam.layers import candidates, layer_modules

    model = getattr(torchvision.models, name)().eval()
    example = torch.zeros(1, 3, 224, 224)
    layers = candidates(model, example)
    grids = layer_grids(model, layer_modules(model, [c.name for c in layers]), example)
    known = {c.name: c for c in layers if c.calls == 1}
    assert len(known) > 5
    for layer, candidate in known.items():
        assert grids[layer] is not None
        assert field_of(grids[layer], candidate.layout.grid, (224, 224)) is None


def test_patches_of_timm_padded_inside() -> None:
    """``dynamic_img_pad`` of timm: attention, rollout and CAMs of a ViT at a size of its own."""
    import timm

    torch.manual_seed(0)
    model = timm.create_model(
        "vit_tiny_patch16_224",
        depth=2,
        num_classes=2,
        dynamic_img_size=True,
        dynamic_img_pad=True,
    ).eval()
    result = fastcam.explain(model, torch.randn(1, 3, 100, 77), ["attention", "rollout", "gradcam"])
    expected = MapField((100, 77), (0.0, 0.0), (16.0, 16.0), ((0.0, 100.0), (0.0, 77.0)))
    assert result.maps["rollout"].shape == (1, 7, 5)
    assert {name: fact.field for name, fact in result.facts.items()} == dict.fromkeys(
        result.maps, expected
    )


def test_an_operation_that_cannot_be_followed() -> None:
    """Its maps are laid over the whole image, and the model runs all the same."""
    model = nn.Sequential(Call(lambda x: torch.from_numpy(x.numpy().copy())), conv(3, 2)).eval()
    assert not any(layer_grids(model, {"1": model[1]}, torch.zeros(1, 1, 9, 9)).values())


def _warped(x: Tensor) -> Tensor:
    theta = torch.tensor([[[0.7, 0.7, 0.0], [-0.7, 0.7, 0.0]]]).expand(len(x), -1, -1)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


@pytest.mark.parametrize("function", [lambda x: x + x.flip(-1), _warped], ids=["mirror", "warp"])
def test_what_can_not_be_followed_is_a_note(function: Callable[[Tensor], Tensor]) -> None:
    """An image added to its own mirror image, or warped: what comes after has no place of its
    own."""
    model = Dot(conv(3, 1, 1), Call(function), conv(3, 1, 1)).eval()
    result = fastcam.explain(model, torch.rand(1, 1, 16, 16), "hirescam", ["body.0", "body"])
    assert result.facts["body.0"].note == ""
    assert result.facts["body"].note == NOT_FOLLOWED
