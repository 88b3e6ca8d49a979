"""Scales of maps, against PyTorch's interpolation and the steps of pytorch-grad-cam."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from fastcam.figures.map_scales import bounds, has_negatives, is_constant, map_levels, map_scale

RNG = np.random.default_rng(2)
CAM = np.maximum(RNG.normal(size=(7, 5)), 0).astype(np.float32) * 0.03


def enlarged(cells, height: int, width: int) -> np.ndarray:
    four = torch.from_numpy(np.asarray(cells, np.float64))[None, None]
    return interpolate(four, (height, width), mode="bilinear", align_corners=False)[0, 0].numpy()


def like_grad_cam(cells, height: int, width: int) -> np.ndarray:
    """pytorch-grad-cam: scale_cam_image, and scale_cam_image again when it aggregates."""
    once = (cells - cells.min()) / (1e-7 + np.max(cells - cells.min()))
    large = enlarged(once, height, width)
    return (large - large.min()) / (1e-7 + np.max(large - large.min()))


@pytest.mark.parametrize("factor", [1.0, 1e4, 1e-6, 1e-12])
def test_slice_is_min_max_enlarge_min_max(factor: float) -> None:
    cells = (CAM * factor).astype(np.float32)
    levels, _ = map_levels(map_scale(cells, "slice"), cells, 90, 70)
    expected = like_grad_cam(cells.astype(np.float64), 90, 70)
    assert np.abs(levels - 255 * expected).max() <= 1
    assert levels.max() == 255 or factor < 1e-10
    assert levels.min() == 0


def test_the_limits_of_slice_are_the_raw_values_at_the_ends() -> None:
    cells = CAM + np.float32(0.5)
    levels, (low, high) = map_levels(map_scale(cells, "slice"), cells, 90, 70)
    large = enlarged(cells, 90, 70)
    assert (low, high) == pytest.approx((large.min(), large.max()), abs=1e-6)
    assert np.abs(levels - 255 * (large - low) / (high - low)).max() <= 1


def test_patient_begins_at_the_lowest_and_ends_at_the_highest_value() -> None:
    cells = CAM + np.float32(0.01)
    levels, limits = map_levels(map_scale(cells, "patient"), cells, 60, 60)
    assert limits == (float(cells.min()), float(cells.max()))
    share = (enlarged(cells, 60, 60) - limits[0]) / (limits[1] - limits[0])
    assert np.abs(levels - 255 * share).max() <= 1
    below = cells - np.float32(0.02)
    assert map_scale(below, "patient").limits == (float(below.min()), float(below.max()))


@pytest.mark.parametrize(
    ("values", "negative"),
    [([-2, 1], True), ([-2, -1], True), ([-1, 0], True), ([0, 2], False), ([1, 2], False),
     ([-1e-9, 2], False), ([0, 0], False)],
)  # fmt: skip
def test_a_map_with_negatives_is_signed(values: list[float], negative: bool) -> None:
    cells = np.array([values], np.float32)
    assert has_negatives(cells) == negative
    if negative:
        scale = map_scale(cells, "cohort", diverging=True, cohort=(values[0] - 1, values[1]))
        assert scale.limits == (values[0] - 1, 1 - values[0])


def test_cohort_takes_the_limits_it_is_given() -> None:
    levels, limits = map_levels(map_scale(CAM, "cohort", cohort=(0.0, 1.0)), CAM, 30, 30)
    assert limits == (0.0, 1.0)
    assert np.abs(levels - 255 * enlarged(CAM, 30, 30)).max() <= 1


def test_diverging_limits_are_symmetric() -> None:
    cells = RNG.normal(size=(6, 6)).astype(np.float32)
    largest = float(np.abs(cells).max())
    assert bounds(cells, True) == (-largest, largest)
    levels, _ = map_levels(map_scale(cells, "patient", True), cells, 50, 50)
    expected = 127.5 + 127.5 * enlarged(cells, 50, 50) / largest
    assert np.abs(levels - expected).max() <= 1
    own, (low, high) = map_levels(map_scale(cells, "slice", True), cells, 50, 50)
    assert low == -high == pytest.approx(-np.abs(enlarged(cells, 50, 50)).max(), rel=1e-6)
    assert np.abs(own - (127.5 + 127.5 * enlarged(cells, 50, 50) / high)).max() <= 1


def test_rank_is_the_share_of_values_that_are_not_higher() -> None:
    cells = np.array([[0.0, 1.0], [2.0, 4.0]], np.float32)
    levels, limits = map_levels(map_scale(cells, "rank"), cells, 2, 2)
    assert limits == (0.0, 1.0)
    assert levels.tolist() == [[0, 85], [170, 255]]
    signed = np.array([[0.0, -1.0], [2.0, -4.0]], np.float32)
    levels, limits = map_levels(map_scale(signed, "rank", True), signed, 2, 2)
    assert limits == (-1.0, 1.0)
    assert levels.tolist() == [[128, 85], [213, 0]]


def test_ranks_are_those_of_the_whole_volume() -> None:
    volume = np.arange(1, 9, dtype=np.float32).reshape(2, 2, 2)
    levels, _ = map_levels(map_scale(volume, "rank"), volume[0], 2, 2)
    assert levels.tolist() == [[32, 64], [96, 128]]


@pytest.mark.parametrize("kind", ["slice", "patient", "cohort", "rank"])
@pytest.mark.parametrize("value", [0.0, 0.7, -3.0])
@pytest.mark.parametrize("diverging", [False, True])
def test_a_map_of_one_value_is_no_evidence(kind, value, diverging) -> None:
    cells = np.full((5, 5), value, np.float32)
    cells[2, 2] *= np.float32(1 + 2e-7)  # rounding
    scale = map_scale(cells, kind, diverging, (0.0, 1.0))
    assert scale.constant
    levels, limits = map_levels(scale, cells, 20, 20)
    assert np.unique(levels).tolist() == [128 if diverging else 0]
    assert limits == (float(cells[0, 0]),) * 2


def test_small_heat_is_not_taken_for_none() -> None:
    assert not is_constant(CAM * np.float32(1e-20))
    assert is_constant(np.full((2, 2), 1e-20, np.float32))


@pytest.mark.parametrize("kind", ["slice", "patient", "rank"])
def test_an_empty_slice_of_a_volume_with_heat(kind) -> None:
    volume = np.stack([np.zeros((4, 4), np.float32), CAM[:4, :4]])
    levels, _ = map_levels(map_scale(volume, kind), volume[0], 9, 9)
    assert not levels.any()
    signed, _ = map_levels(map_scale(volume, kind, True), volume[0], 9, 9)
    assert np.unique(signed).tolist() == [128]
