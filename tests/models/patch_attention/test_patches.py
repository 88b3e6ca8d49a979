"""Patches against a slow loop that follows the rules word by word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from fastcam.demo.neck_set import make_test_set
from fastcam.errors import CaseError, InputError
from fastcam.models.patch_attention.patches import PatchRules, cut_patches, patches_of, plan_patches

Rows = list[tuple[int, tuple[int, int, int, int], int, float]]


def components(layer: NDArray[Any]) -> list[set[tuple[int, int]]]:
    """By flood fill over sides; in the order of each one's first pixel, row by row."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(layer), strict=True)}
    found = []
    while left:
        reached, edge = set(), [min(left)]
        while edge:
            y, x = edge.pop()
            if (y, x) in left:
                left.discard((y, x))
                reached.add((y, x))
                edge += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
        found.append(reached)
    return found


def slow(mask: NDArray[Any], rules: PatchRules) -> Rows:
    rows: Rows = []
    for z, layer in enumerate(mask):
        height, width = layer.shape
        for number, member in enumerate(components(layer)):
            ys, xs = [y for y, _ in member], [x for _, x in member]
            y0 = (min(ys) + max(ys) + 1) // 2 - rules.size // 2
            x0 = (min(xs) + max(xs) + 1) // 2 - rules.size // 2
            candidates = []
            for y in range(height):
                for x in range(width):
                    if (y - y0) % rules.stride or (x - x0) % rules.stride:
                        continue
                    if y + rules.size > height or x + rules.size > width:
                        continue
                    own = sum(
                        y <= b < y + rules.size and x <= a < x + rules.size for b, a in member
                    )
                    if own >= rules.least_inside * rules.size**2 and own:
                        candidates.append((-own, y, x))
            for _, y, x in sorted(sorted(candidates)[: rules.most], key=lambda c: c[1:]):
                share = float((layer[y : y + rules.size, x : x + rules.size] != 0).mean())
                rows.append((z, (x, y, x + rules.size, y + rules.size), number, share))
    return rows


@settings(max_examples=150, deadline=None)
@given(
    mask=st.tuples(st.integers(0, 2), st.integers(1, 14), st.integers(1, 14)).flatmap(
        lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 1]))
    ),
    size=st.integers(1, 6),
    stride=st.integers(1, 4),
    least=st.sampled_from([0.1, 0.3, 0.7, 1.0]),
    most=st.integers(1, 4),
)
def test_the_plan_is_that_of_a_slow_loop(
    mask: NDArray[np.uint8], size: int, stride: int, least: float, most: int
) -> None:
    rules = PatchRules(size, stride, least, most)
    plan = plan_patches(mask, rules)
    expected = slow(mask, rules)
    assert [a.dtype for a in (plan.boxes, plan.slices, plan.roi, plan.mask_ratio)] == [
        np.int32,
        np.int32,
        np.int32,
        np.float32,
    ]
    assert plan.slices.tolist() == [row[0] for row in expected]
    assert plan.boxes.tolist() == [list(row[1]) for row in expected]
    assert plan.roi.tolist() == [row[2] for row in expected]
    np.testing.assert_array_equal(plan.mask_ratio, np.array([r[3] for r in expected], np.float32))


def test_a_large_component_gives_the_twelve_that_lie_most_inside() -> None:
    mask = np.zeros((1, 120, 120), bool)
    y, x = np.mgrid[:120, :120]
    mask[0] = np.hypot(y - 60, x - 60) < 45
    plan = plan_patches(mask)
    assert len(plan.boxes) == 12
    assert plan.mask_ratio.min() == 1.0
    every = plan_patches(mask, PatchRules(most=1000))
    assert len(every.boxes) > 12
    full = every.boxes[every.mask_ratio == 1.0][:12]  # ties: by position
    assert plan.boxes.tolist() == full.tolist()


def test_pixels_are_those_of_the_boxes_in_the_window() -> None:
    rng = np.random.default_rng(0)
    voxels = rng.integers(-1000, 1000, (3, 40, 50)).astype(np.int16)
    mask = np.zeros((3, 40, 50), bool)
    mask[1, 5:35, 10:45] = True
    for window in ((-200.0, 500.0), (500.0, -200.0)):
        plan, pixels = patches_of(voxels, window, mask)
        assert pixels.dtype == np.float32
        assert pixels.shape == (len(plan.boxes), 1, 24, 24)
        for (x1, y1, x2, y2), z, patch in zip(plan.boxes, plan.slices, pixels, strict=True):
            share = (voxels[z, y1:y2, x1:x2] - window[0]) / (window[1] - window[0])
            np.testing.assert_allclose(patch[0], np.clip(share, 0, 1), atol=1e-6)


def test_nan_is_black_and_large_offsets_keep_their_digits() -> None:
    voxels = np.full((1, 24, 24), 1e9 + 1.0)
    voxels[0, 0, 0] = np.nan
    pixels = cut_patches(voxels, (1e9, 1e9 + 2), np.array([[0, 0, 24, 24]]), np.array([0]))
    assert pixels[0, 0, 0, 0] == 0.0
    assert (pixels.ravel()[1:] == 0.5).all()


def test_one_mask_serves_all_slices() -> None:
    mask = np.zeros((1, 48, 48), np.uint8)
    mask[0, 10:40, 10:40] = 1
    plan, _ = patches_of(np.zeros((3, 48, 48)), (0.0, 1.0), mask)
    per_slice = len(plan_patches(mask).boxes)
    assert np.bincount(plan.slices).tolist() == [per_slice] * 3


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.zeros((2, 30, 30)), "is empty and gives no patch"),
        (np.pad(np.ones((2, 3, 3)), ((0, 0), (10, 17), (10, 17))), "of 18 voxels gives no patch"),
        (np.ones((2, 30, 31)), "has shape .2, 30, 31. .* own grid"),
        (np.ones((3, 30, 30)), "has shape .3, 30, 30."),
    ],
)
def test_a_mask_that_gives_nothing_is_a_case_error(mask: NDArray[Any], words: str) -> None:
    with pytest.raises(CaseError, match=words):
        patches_of(np.zeros((2, 30, 30)), (0.0, 1.0), mask)


def test_slices_smaller_than_a_patch() -> None:
    with pytest.raises(CaseError, match="slice of 20 x 40"):
        patches_of(np.zeros((1, 40, 20)), (0.0, 1.0), np.ones((1, 40, 20)))


@pytest.mark.parametrize("bad", [{"size": 0}, {"stride": 0}, {"most": 0}, {"least_inside": 0.0}])
def test_rules_are_checked(bad: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(bad))):
        PatchRules(**bad)


def test_the_demo_cuts_the_same(tmp_path: Any) -> None:
    import pickle

    made = make_test_set(tmp_path, cases=1, slices=3, size=128, source="npy")
    (case,) = pickle.loads(made.results.read_bytes())
    plan = plan_patches(np.load(made.masks / "neck_001.npy"))
    assert [list(p["bbox"]) for p in case["positions"]] == plan.boxes.tolist()
    assert [p["roi_id"] for p in case["positions"]] == plan.roi.tolist()
