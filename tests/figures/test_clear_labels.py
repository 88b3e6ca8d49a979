from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.figures.clear_labels import clear_positions

GAP = 3


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 6), seed=st.integers(0, 9999), spread=st.integers(1, 200))
def test_labels_hide_no_box_and_no_label_and_stay_inside(count, seed, spread):
    """Painted pixel by pixel: nothing is painted twice."""
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, spread, (count, 2))
    boxes = np.hstack([corners, corners + 13]).astype(np.int32)
    sizes = np.tile(np.array([[60, 18]], np.int32), (count, 1))
    positions = clear_positions(boxes, sizes, 256, 224, GAP)
    assert (positions >= 0).all()
    boxed, labeled = np.zeros((224, 256), int), np.zeros((224, 256), int)
    for x1, y1, x2, y2 in boxes.tolist():
        boxed[y1:y2, x1:x2] = 1
    for (x, y), (width, height) in zip(positions.tolist(), sizes.tolist(), strict=True):
        assert x + width <= 256
        assert y + height <= 224
        labeled[y : y + height, x : x + width] += 1
    assert labeled.max() == 1
    assert not (boxed & labeled).any()


def test_a_label_stands_beside_its_box():
    boxes = np.array([[100, 100, 113, 113], [10, 10, 23, 23]], np.int32)
    positions = clear_positions(boxes, np.array([[40, 18], [40, 18]], np.int32), 200, 200, GAP)
    (x, y), (other_x, other_y) = positions.tolist()
    assert abs(x + 20 - 106) < 35
    assert abs(y + 9 - 106) < 35
    assert other_x < 60
    assert other_y < 60


def test_no_room_is_no_label():
    boxes = np.array([[0, 0, 50, 50]], np.int32)
    assert clear_positions(boxes, np.array([[40, 18]], np.int32), 50, 50, GAP).tolist() == [
        [-1, -1]
    ]
    assert clear_positions(boxes, np.array([[60, 18]], np.int32), 50, 50, GAP).tolist() == [
        [-1, -1]
    ]
