"""Maps against masks: by hand, against a slow loop, and good beside bad predictions."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu, wilcoxon

from fastcam.jobs.evaluate.metrics.localization import (
    Localization,
    compare_groups,
    localization_lines,
    localize,
    unmeasured,
)


def slow(values: NDArray[Any], mask: NDArray[np.bool_], tolerance: float) -> dict[str, Any]:
    """The definitions, pixel by pixel, on torch's enlargement."""
    size = mask.shape
    large = torch.nn.functional.interpolate(
        torch.tensor(values)[None, None], size=size, mode="bilinear", align_corners=False
    )[0, 0].numpy()
    inside_sum = total = 0.0
    best = -1.0
    cells = [(values[j, i], j, i) for j in range(values.shape[0]) for i in range(values.shape[1])]
    _, row, column = max(cells)
    peak = int((row + 0.5) * size[0] / len(values)), int((column + 0.5) * size[1] / len(values[0]))
    around = large[max(peak[0] - 1, 0) : peak[0] + 2, max(peak[1] - 1, 0) : peak[1] + 2]
    assert around.max() == pytest.approx(large.max())
    for y in range(size[0]):
        for x in range(size[1]):
            value = max(float(large[y, x]), 0.0)
            total += value
            inside_sum += value if mask[y, x] else 0.0
    for k in range(1, 256):
        chosen = large >= k / 255 * large.max()
        ratio = (chosen & mask).sum() / (chosen | mask).sum()
        best = max(best, float(ratio))
    places = [(y, x) for y in range(size[0]) for x in range(size[1]) if mask[y, x]]
    away = min(np.hypot(y - peak[0], x - peak[1]) for y, x in places)
    return {"share": inside_sum / total, "hit": away <= tolerance, "iou": best}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("tolerance", [0.0, 3.0])
def test_localize_is_the_slow_loop(seed: int, tolerance: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(4, 5)).astype(np.float32)
    mask = rng.random((23, 31)) < 0.2
    mask[:, :12] = False
    found = localize(values, mask, tolerance)
    expected = slow(values, mask, tolerance)
    assert found.share == pytest.approx(expected["share"], rel=1e-5)
    assert found.hit == expected["hit"]
    # A value that lies on a threshold may fall on either side of it.
    assert found.iou == pytest.approx(expected["iou"], abs=0.01)
    assert found.area == mask.mean()


@pytest.mark.parametrize("seed", range(4))
def test_volumes_are_measured_as_images_are(seed: int) -> None:
    """Against torch's trilinear enlargement and the definitions."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(3, 4, 5)).astype(np.float32)
    mask = rng.random((11, 17, 14)) < 0.1
    large = torch.nn.functional.interpolate(
        torch.tensor(values)[None, None], size=mask.shape, mode="trilinear", align_corners=False
    )[0, 0].numpy()
    found = localize(values, mask)
    positive = np.maximum(large, 0).astype(np.float64)
    assert found.share == pytest.approx(positive[mask].sum() / positive.sum(), rel=1e-5)
    assert found.area == mask.mean()
    cell = np.unravel_index(values.argmax(), values.shape)
    peak = tuple(
        int((at + 0.5) * n / m) for at, n, m in zip(cell, mask.shape, values.shape, strict=True)
    )
    assert found.hit == mask[peak]
    ratios = []
    for k in range(1, 256):
        chosen = large / large.max() >= k / 255
        ratios.append((chosen & mask).sum() / (chosen | mask).sum())
    assert found.iou == pytest.approx(max(ratios), abs=2e-3)


def test_a_case_by_hand() -> None:
    values = np.array([[4, 2], [1, -3]], np.float32)
    mask = np.array([[True, True], [False, False]])
    found = localize(values, mask)
    assert found.share == pytest.approx(6 / 7)
    assert found.area == 0.5
    assert found.lift == pytest.approx(12 / 7)
    assert found.hit is True
    assert found.chance_hit == 0.5
    # Both pixels of the mask and none else, from a little over 1/4 up to 2/4 of the peak.
    assert found.iou == 1.0
    assert found.threshold is not None
    assert 0.25 < found.threshold <= 0.5


def test_the_tolerance_is_in_pixels_and_raises_the_chance() -> None:
    values = np.zeros((9, 9), np.float32)
    values[4, 4] = 1
    mask = np.zeros((9, 9), np.bool_)
    mask[4, 0] = True
    assert [localize(values, mask, t).hit for t in (0, 3.9, 4)] == [False, False, True]
    assert localize(values, mask).chance_hit == 1 / 81
    assert localize(values, mask, 1).chance_hit == 4 / 81


def test_what_cannot_be_measured_says_why() -> None:
    mask = np.eye(8, dtype=np.bool_)
    ones = np.ones((2, 2), np.float32)
    empty = localize(ones, np.zeros((8, 8), np.bool_))
    assert empty == unmeasured("the mask is empty")
    dark = localize(-ones, mask)
    assert (dark.share, dark.area) == (None, 0.125)
    assert "no value above 0" in dark.reason
    assert "not finite" in localize(ones * np.nan, mask).reason
    even = localize(ones, mask)
    assert (even.share, even.hit) == (pytest.approx(0.125), None)
    assert "no peak" in even.reason


def test_tiny_values_are_measured_like_large_ones() -> None:
    rng = np.random.default_rng(1)
    values = rng.random((5, 5), np.float32)
    mask = rng.random((20, 20)) < 0.3
    small = localize(values * np.float32(1e-37), mask)
    large = localize(values * np.float32(1e30), mask)
    assert small.share == pytest.approx(large.share)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 40),
    st.integers(1, 40),
    st.floats(0, 30),
)
def test_numbers_stay_in_their_ranges(
    seed: int, h: int, w: int, high: int, wide: int, tolerance: float
) -> None:
    rng = np.random.default_rng(seed)
    values = (rng.normal(size=(h, w)) * 10.0 ** rng.integers(-20, 20)).astype(np.float32)
    mask = rng.random((high, wide)) < rng.random()
    found = localize(values, mask, tolerance)
    if found.share is None:
        assert found.reason
        assert found.hit is found.iou is None
        return
    assert found.area is not None
    assert found.iou is not None
    assert found.chance_hit is not None
    assert 0 <= found.share <= 1 + 1e-9
    assert 0 < found.area <= found.chance_hit <= 1
    assert 0 <= found.iou <= 1
    if mask.all():
        assert found.share == pytest.approx(1)
        assert found.hit in (True, None)


def some(shares: list[float], hits: list[bool], area: float = 0.1) -> list[Localization]:
    return [
        Localization(share, area, share / area, hit, area, share / 2, 0.5)
        for share, hit in zip(shares, hits, strict=True)
    ]


def test_good_beside_bad() -> None:
    rng = np.random.default_rng(0)
    good = some(rng.uniform(0.4, 0.9, 12).tolist(), [True] * 9 + [False] * 3)
    bad = some(rng.uniform(0.0, 0.5, 7).tolist(), [False] * 7)
    rest = [unmeasured("there is no mask"), unmeasured("there is no mask"), *some([0.3], [True])]
    found = compare_groups([*good, *bad, *rest], [True] * 12 + [False] * 7 + [True, None, None])
    assert (found.n, found.measured, found.good.n, found.bad.n, found.all.n) == (22, 20, 12, 7, 20)
    assert found.reasons == {"there is no mask": 2}
    assert (found.good.hits, found.good.hit_rate, found.bad.hit_rate) == (9, 0.75, 0.0)
    assert found.good.chance_hit_rate == pytest.approx(0.1)
    shares = [[one.share for one in group] for group in (good, bad)]
    test = found.tests["share"]
    assert test is not None
    oracle = mannwhitneyu(*shares, alternative="two-sided")
    assert (test.u, test.p) == pytest.approx((oracle.statistic, oracle.pvalue))
    assert test.effect > 0.5
    assert found.good.share.median == pytest.approx(np.median(shares[0]))  # type: ignore[arg-type]
    assert found.good.p_share == pytest.approx(wilcoxon(np.array(shares[0]) - 0.1).pvalue)
    json.dumps(asdict(found), allow_nan=False)
    said = "\n".join(localization_lines(found))
    assert "peak inside 75.0 %, by chance 10.0 %" in said
    assert "2: there is no mask" in said


def test_nothing_at_all() -> None:
    summary = compare_groups([], [])
    assert (summary.n, summary.all.hit_rate, summary.tests["iou"]) == (0, None, None)
    assert localization_lines(summary) == ["localization: none of 0 maps could be measured"]
    json.dumps(asdict(summary), allow_nan=False)
