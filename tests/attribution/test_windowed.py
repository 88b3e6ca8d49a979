"""Windows against MONAI's inferer, and stitched maps against those of the whole image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data.utils import compute_importance_map, dense_patch_slices
from monai.inferers import sliding_window_inference
from monai.inferers.utils import _get_scan_interval
from torch import Tensor, nn

import fastcam
from fastcam.attribution.engines import build_engine
from fastcam.attribution.method_settings import MethodSettings
from fastcam.attribution.request import MapRequest
from fastcam.attribution.segment_target import SegmentTarget
from fastcam.attribution.window_plan import WindowPlan
from fastcam.attribution.windowed import blend_weights
from fastcam.errors import InputError


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(4, 40), st.integers(2, 24)), min_size=2, max_size=3),
    st.sampled_from([0.0, 0.25, 0.5, 0.8]),
)
def test_the_plan_is_monais(axes: list[tuple[int, int]], overlap: float) -> None:
    image, window = [a for a, _ in axes], [min(a, w) for a, w in axes]
    plan = WindowPlan(tuple(window), overlap)
    step = _get_scan_interval(image, window, len(image), [overlap] * len(image))
    expected = [tuple(s.start for s in box) for box in dense_patch_slices(image, window, step)]
    assert plan.starts(image) == expected


@pytest.mark.parametrize("blend", ["gaussian", "constant"])
@pytest.mark.parametrize("sides", [(8, 12), (6, 9, 4)])
def test_the_weights_are_monais(blend: Any, sides: tuple[int, ...]) -> None:
    torch.testing.assert_close(blend_weights(sides, blend), compute_importance_map(sides, blend))


class _Local(nn.Module):
    """Strides of 4 in all, cells that see 11 pixels, and an answer for each pixel or each image."""

    def __init__(self, dims: int, dense: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        conv = nn.Conv2d if dims == 2 else nn.Conv3d
        up = "bilinear" if dims == 2 else "trilinear"
        self.one, self.two = conv(1, 4, 3, 2, padding=1), conv(4, 6, 3, 2, padding=1)
        self.head = conv(6, 3, 1)
        self.up = nn.Upsample(scale_factor=4, mode=up) if dense else None

    def forward(self, x: Tensor) -> Tensor:
        logits = self.head(self.two(self.one(x).relu()).relu())
        return self.up(logits) if self.up else logits.flatten(2).mean(2)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("blend", ["gaussian", "constant"])
def test_a_segmentation_is_stitched_as_monais_inferer_does_it(dims: int, blend: Any) -> None:
    model = _Local(dims, dense=True).eval()
    images = torch.randn(2, 1, *(24, 40, 20)[:dims])
    plan = WindowPlan((16,), 0.5, blend)
    request = MapRequest(
        ("hirescam",), ("two",), segments=(SegmentTarget(1),), windows=plan, sign="both"
    )
    result = build_engine(model, request)(images)
    with torch.no_grad():
        stitched = sliding_window_inference(images, (16,) * dims, 3, model, 0.5, blend)
    assert result.labels is not None
    assert torch.equal(result.labels, stitched.argmax(1))
    assert result.pixels is not None
    assert result.pixels[:, 0].tolist() == (stitched.argmax(1) == 1).flatten(1).sum(1).tolist()
    assert result.maps["hirescam/two"].shape == (2, *(6, 10, 5)[:dims])


@pytest.mark.parametrize("dims", [2, 3])
def test_stitched_hirescam_is_that_of_the_whole_image_inside(dims: int) -> None:
    """Cells farther from the edges of a window than they see have the same activations in it, and
    the gradient of a sum of pixels is the same."""
    model = _Local(dims, dense=True).eval()
    images = torch.randn(1, 1, *(64, 48, 48)[:dims])
    target = (SegmentTarget(2, "all"),)
    whole = build_engine(model, MapRequest(("hirescam",), ("two",), segments=target, sign="both"))
    plan = WindowPlan((32,), 0.75, "gaussian")
    request = MapRequest(("hirescam",), ("two",), segments=target, windows=plan, sign="both")
    expected = whole(images).maps["hirescam/two"]
    stitched = build_engine(model, request)(images).maps["hirescam/two"]
    assert stitched.shape == expected.shape
    # Gaussian weights leave little of what windows have at their edges.
    inside = (slice(None), *[slice(3, -3)] * dims)
    size = float(expected.abs().max())
    assert float((stitched[inside] - expected[inside]).abs().max()) < 0.05 * size
    middle = (slice(None), *[slice(s // 2 - 1, s // 2 + 1) for s in expected.shape[1:]])
    torch.testing.assert_close(stitched[middle], expected[middle], rtol=0.05, atol=0.01 * size)


def test_one_window_is_the_plain_engine() -> None:
    model, images = _Local(2, dense=False).eval(), torch.randn(2, 1, 16, 20)
    plain = build_engine(model, MapRequest(("gradcam", "saliency"), ("two",)))(images)
    request = MapRequest(("gradcam", "saliency"), ("two",), windows=WindowPlan((64,)))
    windowed = build_engine(model, request)(images)
    for name, values in plain.maps.items():
        torch.testing.assert_close(windowed.maps[name], values)
    torch.testing.assert_close(windowed.output, plain.output)
    assert windowed.targets is not None
    assert plain.targets is not None
    assert windowed.targets.tolist() == plain.targets.tolist()
    assert windowed.notes["gradcam/two"] == "of 1 windows"


def test_the_class_is_that_of_the_pooled_output() -> None:
    model, images = _Local(2, dense=False).eval(), torch.randn(2, 1, 16, 40)
    request = MapRequest(
        ("gradcam",), ("two",), windows=WindowPlan((16,), 0.25, "constant"), sign="both",
        settings=MethodSettings(pass_size=2),
    )  # fmt: skip
    result = build_engine(model, request)(images)
    with torch.no_grad():
        parts = [model(images[..., start : start + 16]) for start in (0, 12, 24)]
    pooled = torch.stack(parts).mean(0)
    torch.testing.assert_close(result.output, pooled)
    assert result.targets is not None
    assert result.targets[:, 0].tolist() == pooled.argmax(1).tolist()
    # Window by window with that class, averaged where they overlap by one cell of four.
    plain = build_engine(model, MapRequest(("gradcam",), ("two",), sign="both"))
    maps = [
        plain(images[..., start : start + 16], pooled.argmax(1)).maps["gradcam/two"]
        for start in (0, 12, 24)
    ]
    expected, count = np.zeros((2, 4, 10)), np.zeros(10)
    for number, values in enumerate(maps):
        expected[..., 3 * number : 3 * number + 4] += values.numpy()
        count[3 * number : 3 * number + 4] += 1
    np.testing.assert_allclose(result.maps["gradcam/two"].numpy(), expected / count, atol=1e-6)


def test_targets_by_image_and_several() -> None:
    model, images = _Local(2, dense=False).eval(), torch.randn(3, 1, 16, 32)
    request = MapRequest(("gradcam",), ("two",), windows=WindowPlan((16,)))
    each = build_engine(model, request)(images, torch.tensor([0, 2, 1]))
    assert each.targets is not None
    assert each.targets.tolist() == [[0], [2], [1]]
    request = MapRequest(("gradcam",), ("two",), (0, 2), windows=WindowPlan((16,)))
    several = build_engine(model, request)
    result = several(images)
    assert result.maps["gradcam/two"].shape == (3, 2, 4, 8)
    torch.testing.assert_close(result.maps["gradcam/two"][0, 0], each.maps["gradcam/two"][0])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"size": (0,)}, "--window 0"),
        ({"size": (8,), "overlap": 1.0}, "--overlap 1.0"),
        ({"size": (8,), "blend": "linear"}, "--window-blend"),
    ],
)
def test_settings_are_checked(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        WindowPlan(**wrong)


@pytest.mark.parametrize("size", [(64,), (16, 20), (16, 64)])
def test_a_window_that_sees_everything_is_told(size: tuple[int, ...]) -> None:
    model, images = _Local(2, dense=False).eval(), torch.randn(1, 1, 16, 20)
    with pytest.warns(UserWarning, match=f"--window {size[0]}.*: the model's input has 16 x 20"):
        fastcam.explain(model, images, "saliency", windows=WindowPlan(size))


@pytest.mark.filterwarnings("error")
def test_windows_that_are_stitched_are_not_warned_of() -> None:
    model, images = _Local(2, dense=False).eval(), torch.randn(1, 1, 16, 20)
    fastcam.explain(model, images, "saliency", windows=WindowPlan((16, 16)))


def test_wrong_axes() -> None:
    with pytest.raises(InputError, match="--window 8,8,8: the model's input has 2 axes"):
        WindowPlan((8, 8, 8)).sides((16, 16))
