from __future__ import annotations

import numpy as np
import pytest
from fastcam_kernels.heat import heat_peak, patch_heat
from hypothesis import given, settings
from hypothesis import strategies as st

BOX = st.tuples(*[st.integers(-15, 55)] * 4)


def twin(boxes: np.ndarray, weights: np.ndarray, height: int, width: int) -> np.ndarray:
    total = np.zeros((height, width), np.float32)
    count = np.zeros((height, width), np.float32)
    for (x1, y1, x2, y2), weight in zip(boxes, weights, strict=True):
        window = slice(max(y1, 0), max(y2, 0)), slice(max(x1, 0), max(x2, 0))
        total[window] += weight
        count[window] += 1
    return np.where(count > 0, total / np.maximum(count, 1), 0).astype(np.float32)


@settings(max_examples=150, deadline=None)
@given(st.lists(BOX, max_size=12), st.integers(1, 45), st.integers(1, 45), st.integers(0, 9))
def test_heat_and_its_limits(boxes, height, width, seed):
    array = np.array(boxes, np.int32).reshape(-1, 4)
    weights = np.random.default_rng(seed).normal(0.5, 0.5, len(boxes)).astype(np.float32)
    expected = twin(array, weights, height, width)
    np.testing.assert_array_equal(patch_heat(array, weights, height, width), expected)
    assert heat_peak(array, weights, height, width) == (expected.min(), expected.max())


def test_by_hand():
    boxes = np.array([[0, 0, 2, 2], [1, 1, 3, 3]], np.int32)
    heat = patch_heat(boxes, np.array([0.2, 0.4], np.float32), 3, 4)
    np.testing.assert_allclose(
        heat, [[0.2, 0.2, 0, 0], [0.2, 0.3, 0.4, 0], [0, 0.4, 0.4, 0]], rtol=1e-6
    )


def test_a_covered_slice_has_a_lowest_value_above_zero():
    boxes = np.array([[-5, -5, 3, 9], [3, 0, 6, 4]], np.int32)
    weights = np.array([0.25, 0.5], np.float32)
    assert heat_peak(boxes, weights, 4, 6) == (0.25, 0.5)


def test_an_empty_slice():
    assert heat_peak(np.zeros((0, 4), np.int32), np.zeros(0, np.float32), 0, 5) == (0.0, 0.0)


def test_a_used_buffer_is_cleared_and_a_wrong_one_refused():
    boxes, weights = np.array([[1, 1, 3, 2]], np.int32), np.array([0.5], np.float32)
    buffer = np.full((4, 5), 7, np.float32)
    assert patch_heat(boxes, weights, 4, 5, buffer) is buffer
    np.testing.assert_array_equal(buffer, twin(boxes, weights, 4, 5))
    for wrong in (np.zeros((5, 4), np.float32), np.zeros((4, 5)), np.zeros((5, 4), "f4").T):
        with pytest.raises(ValueError, match="out must be"):
            patch_heat(boxes, weights, 4, 5, wrong)  # type: ignore[arg-type]
