from __future__ import annotations

import numpy as np
import pytest
from fastcam_kernels.png_rows import levels_of_rows
from hypothesis import given, settings
from hypothesis import strategies as st


def filtered(levels: np.ndarray, filters: list[int]) -> np.ndarray:
    """Rows of a PNG file, byte by byte by the specification's section 9.2."""
    height, width = levels.shape
    plain = levels.astype(">u2").view(np.uint8).reshape(height, 2 * width).astype(int)
    rows = np.zeros((height, 1 + 2 * width), np.uint8)
    for y, kind in enumerate(filters):
        rows[y, 0] = kind
        for i in range(2 * width):
            left = plain[y, i - 2] if i >= 2 else 0
            above = plain[y - 1, i] if y else 0
            corner = plain[y - 1, i - 2] if y and i >= 2 else 0
            estimate = left + above - corner
            nearest = min((left, above, corner), key=lambda byte: abs(estimate - byte))
            predicted = (0, left, above, (left + above) // 2, nearest)[kind]
            rows[y, 1 + i] = (plain[y, i] - predicted) % 256
    return rows


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=12),
    st.integers(1, 17),
    st.sampled_from([4, 4096, 65536]),
    st.integers(0, 10**6),
)
def test_filters_are_undone(filters, width, limit, seed):
    levels = np.random.default_rng(seed).integers(0, limit, (len(filters), width), np.uint16)
    found = levels_of_rows(filtered(levels, filters))
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, levels)


def test_rows_that_are_none():
    rows = np.zeros((3, 9), np.uint8)
    rows[1, 0] = 5
    with pytest.raises(ValueError, match="filter"):
        levels_of_rows(rows)
    with pytest.raises(ValueError, match="no pixels"):
        levels_of_rows(np.zeros((3, 8), np.uint8))
