"""Occlusion against captum, RISE against a plain loop with the same masks."""

from __future__ import annotations

import math
from typing import Any

import captum.attr as captum
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fastcam.attribution.method_settings import MethodSettings
from fastcam.attribution.perturbations.engine import PerturbationEngine
from fastcam.attribution.perturbations.masks import random_masks, window_geometry, windows

from ..nets import Small


def _model(dims: int, outputs: int = 5) -> nn.Module:
    torch.manual_seed(0)
    return Small(dims, outputs).eval()


def _images(dims: int, count: int = 2) -> Tensor:
    return torch.randn(count, 3, *(10, 13, 8)[:dims], generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("geometry", [(4, 3), (5, 5), (3, 1)])
def test_occlusion_is_captums(dims: int, geometry: tuple[int, int]) -> None:
    if dims == 3 and geometry[1] == 1:
        pytest.skip("a thousand windows")
    side, stride = geometry
    model, images = _model(dims), _images(dims)
    settings = MethodSettings(occlusion_size=side, occlusion_stride=stride, pass_size=7)
    engine = PerturbationEngine(model, ["occlusion"], targets=[2, 3], settings=settings)
    expected = captum.Occlusion(model).attribute(
        images, (3, *[side] * dims), (3, *[stride] * dims), target=[2, 3], baselines=0
    )
    torch.testing.assert_close(
        engine(images).maps["occlusion"], expected[:, 0], rtol=1e-4, atol=1e-6
    )


@hypothesis_settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(1, 16), min_size=2, max_size=3),
    st.integers(0, 8),
    st.integers(0, 8),
)
def test_windows_cover_every_pixel(size: list[int], side: int, stride: int) -> None:
    sides, strides = window_geometry(size, side, min(stride, side) if side else 0)
    covered = torch.zeros(size)
    boxes = windows(size, sides, strides)
    for box in boxes:
        covered[box] += 1
    assert bool((covered > 0).all())
    assert len(set(map(str, boxes))) == len(boxes)


def _loop(model: nn.Module, image: Tensor, masks: Tensor, probability: Any, keep: float) -> Tensor:
    """RISE with the scores' mean taken off, mask by mask."""
    with torch.no_grad():
        scores = [float(probability(model((image * mask)[None]))) for mask in masks]
    mean = sum(scores) / len(scores)
    total = torch.zeros(masks.shape[1:])
    for score, mask in zip(scores, masks, strict=True):
        total += (score - mean) * mask
    return total / (len(masks) * keep)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "regression"])
def test_rise_is_a_plain_loop_with_the_same_masks(dims: int, kind: str) -> None:
    model, images = _model(dims, 1 if kind == "regression" else 5), _images(dims)
    settings = MethodSettings(
        masks=11, cells=3, keep=0.4, pass_size=4, multilabel=kind == "sigmoid"
    )
    target = 0 if kind == "regression" else 3
    maps = PerturbationEngine(model, ["rise"], targets=target, settings=settings)(images).maps[
        "rise"
    ]
    masks = torch.cat(list(random_masks(images.shape[2:], 11, 3, 0.4, 0, 11)))
    score = {
        "softmax": lambda out: out.softmax(1)[0, 3],
        "sigmoid": lambda out: out.sigmoid()[0, 3],
        "regression": lambda out: out[0, 0],
    }[kind]
    expected = torch.stack([_loop(model, image, masks, score, 0.4) for image in images])
    torch.testing.assert_close(maps, expected, rtol=1e-3, atol=1e-6)


def test_masks_are_petsiuks() -> None:
    """As the authors' code makes them: up to s + 1 cells, cut out at an offset within a cell."""
    masks = torch.cat(list(random_masks((14, 10), 200, 4, 0.5, 3, 64)))
    assert masks.shape == (200, 14, 10)
    assert float(masks.min()) >= 0
    assert float(masks.max()) <= 1 + 1e-6
    assert abs(float(masks.mean()) - 0.5) < 0.02
    again = torch.cat(list(random_masks((14, 10), 200, 4, 0.5, 3, 7)))
    assert torch.equal(masks, again)
    # A cell of 4 x 3 pixels: enlarged linearly, neighbours differ by less than a third.
    assert float(masks.diff(dim=1).abs().max()) <= 1 / math.ceil(14 / 4) + 0.15


def test_rise_finds_the_pixels_that_matter() -> None:
    class Corner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :, :4, :4].mean((1, 2, 3))[:, None]

    settings = MethodSettings(masks=400, cells=4)
    maps = PerturbationEngine(Corner(), ["rise", "occlusion"], settings=settings)(
        torch.ones(1, 1, 16, 16)
    ).maps
    for values in maps.values():
        inside = float(values[0, :4, :4].mean())
        assert inside > 4 * float(values[0, 8:, 8:].mean())


@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_the_cover_is_the_baseline(method: str) -> None:
    """An image that is its own baseline loses nothing."""
    model = _model(2)
    images = torch.full((1, 3, 10, 13), 0.7)
    settings = MethodSettings(baseline="mean", masks=5)
    maps = PerturbationEngine(model, [method], settings=settings)(images).maps[method]
    assert float(maps.abs().max()) < 1e-6


def test_several_targets_and_bad_images() -> None:
    model, images = _model(2), _images(2, 3)
    images[1] = torch.inf
    settings = MethodSettings(masks=6, pass_size=4)
    result = PerturbationEngine(model, ["occlusion", "rise"], targets=[[1, 2]], settings=settings)(
        images
    )
    for column, target in enumerate((1, 2)):
        one = PerturbationEngine(model, ["occlusion", "rise"], targets=target, settings=settings)(
            images[:1]
        )
        for name, values in one.maps.items():
            torch.testing.assert_close(result.maps[name][:1, column], values)
    assert all(values[1].isnan().all() for values in result.maps.values())
    assert not any(values[2].isnan().any() for values in result.maps.values())
