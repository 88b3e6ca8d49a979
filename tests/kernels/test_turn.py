from __future__ import annotations

import itertools

import numpy as np
import pytest
from fastcam_kernels.turn import turned_grey, turned_mask
from hypothesis import given, settings
from hypothesis import strategies as st

FLAGS = list(itertools.product([False, True], repeat=3))


@pytest.mark.parametrize(("transpose", "rows", "columns"), FLAGS)
def test_a_picture_worked_by_hand(transpose, rows, columns):
    picture = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    expected = {
        (False, False, False): [[1, 2, 3], [4, 5, 6]],
        (False, False, True): [[3, 2, 1], [6, 5, 4]],
        (False, True, False): [[4, 5, 6], [1, 2, 3]],
        (False, True, True): [[6, 5, 4], [3, 2, 1]],
        (True, False, False): [[1, 4], [2, 5], [3, 6]],
        (True, False, True): [[4, 1], [5, 2], [6, 3]],
        (True, True, False): [[3, 6], [2, 5], [1, 4]],
        (True, True, True): [[6, 3], [5, 2], [4, 1]],
    }[transpose, rows, columns]
    assert turned_grey(picture, (0, 255), (transpose, rows, columns)).tolist() == expected


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 150), st.integers(1, 150), st.sampled_from(FLAGS), st.sampled_from([1, 255]))
def test_any_size_like_numpy(height, width, flags, high):
    transpose, rows, columns = flags
    picture = np.random.default_rng(height * width).integers(0, 2, (height, width), dtype=np.uint8)
    expected = picture.T if transpose else picture
    expected = np.flip(expected, 0) if rows else expected
    expected = np.flip(expected, 1) if columns else expected
    found = turned_grey(picture, (0, high), (transpose, rows, columns))
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected * np.uint8(255 // high))
    if high == 1:
        white = turned_mask(picture, (transpose, rows, columns))
        np.testing.assert_array_equal(white, expected * np.uint8(255))
