"""Each --scale with cases worked by hand, then against slow formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.figures import patch_scales

from . import expected_pixels

# Slice 0: two boxes that share a column of 2 pixels; slice 4: one box that the first two outweigh.
CASE = expected_pixels.make_case(
    [[0, 0, 4, 2], [2, 0, 6, 2], [0, 0, 8, 8]], [0.5, 0.25, 0.125], slices=[0, 0, 4]
)
HEAT_0 = np.zeros((8, 8), np.float32)
HEAT_0[:2, :2], HEAT_0[:2, 2:4], HEAT_0[:2, 4:6] = 0.5, 0.375, 0.25
HEAT_4 = np.full((8, 8), 0.125, np.float32)


def shown(kind, picture, cohort_high=0.0):
    return patch_scales.case_scale(CASE, kind, 8, 8, cohort_high).heat_and_limits(picture)


def test_slices_come_in_order_with_their_own_patches():
    found = [(i, b.tolist(), w.tolist()) for i, b, w in patch_scales.by_slice(CASE)]
    assert found == [
        (0, [[0, 0, 4, 2], [2, 0, 6, 2]], [0.5, 0.25]),
        (4, [[0, 0, 8, 8]], [0.125]),
    ]


def test_patient_runs_from_0_to_the_highest_heat_of_the_case():
    assert patch_scales.peak(CASE, 8, 8) == 0.5
    for picture in (HEAT_0, HEAT_4):
        heat, limits = shown("patient", picture)
        assert limits == (0.0, 0.5)
        np.testing.assert_array_equal(heat, picture)


def test_cohort_runs_from_0_to_the_highest_heat_of_the_run():
    heat, limits = shown("cohort", HEAT_4, 0.75)
    assert limits == (0.0, 0.75)
    np.testing.assert_array_equal(heat, HEAT_4)


def test_slice_is_the_min_and_max_of_the_slice():
    assert shown("slice", HEAT_0)[1] == (0.0, 0.5)
    covered = HEAT_4.copy()
    covered[0, 0] = 0.5
    assert shown("slice", covered)[1] == (0.125, 0.5)
    assert shown("slice", HEAT_4)[1] == (0.0, 0.125)  # no difference to show: all of it is high


def test_rank_is_the_share_of_the_heated_pixels_at_or_below():
    """64 pixels at 0.125, then 4 at 0.25, 4 at 0.375, 4 at 0.5: 76 heated ones in all."""
    heat, limits = shown("rank", HEAT_0)
    assert limits == (0.0, 1.0)
    expected = np.zeros((8, 8))
    expected[:2, :2], expected[:2, 2:4], expected[:2, 4:6] = 1.0, 72 / 76, 68 / 76
    np.testing.assert_allclose(heat, expected, rtol=1e-6)
    np.testing.assert_allclose(shown("rank", HEAT_4)[0], 64 / 76, rtol=1e-6)


@pytest.mark.parametrize("kind", ["slice", "patient", "cohort", "rank"])
def test_without_any_weight_all_is_cold(kind):
    case = expected_pixels.make_case([[0, 0, 8, 8]], [0.0])
    heat, (low, high) = patch_scales.case_scale(case, kind, 8, 8, 0.0).heat_and_limits(
        np.zeros((8, 8), np.float32)
    )
    assert not heat.any()
    assert (low, high) in ((0.0, 0.0), (0.0, 1.0))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 12))
def test_against_the_slow_formulas(seed, count):
    rng = np.random.default_rng(seed)
    corners = rng.integers(-3, 15, (count, 2))
    boxes = np.hstack([corners, np.maximum(corners + rng.integers(1, 12, (count, 2)), 1)])
    weights = (rng.integers(0, 5, count) / 8).astype(np.float32)
    slices = rng.integers(0, 3, count)
    case = expected_pixels.make_case(boxes, weights, slices)
    pictures = {
        index: expected_pixels.slow_heat(boxes[slices == index], weights[slices == index], 16, 16)
        for index in set(slices.tolist())
    }
    assert patch_scales.peak(case, 16, 16) == pytest.approx(max(p.max() for p in pictures.values()))
    heated = np.concatenate([p[p > 0] for p in pictures.values()]).astype(np.float32)
    scale = patch_scales.case_scale(case, "rank", 16, 16, 0.0)
    for picture in pictures.values():
        found, _ = scale.heat_and_limits(picture.astype(np.float32))
        for value, share in zip(picture.astype(np.float32).ravel(), found.ravel(), strict=True):
            below = (heated <= value * (1 + 1e-6)).mean() if value > 0 else 0.0
            assert share == pytest.approx(below, abs=1e-6)
