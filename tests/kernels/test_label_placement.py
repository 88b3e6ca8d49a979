from __future__ import annotations

import numpy as np
from fastcam_kernels.label_placement import label_positions
from hypothesis import given, settings
from hypothesis import strategies as st


def overlap(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def rectangles(spots: np.ndarray, sizes: np.ndarray) -> list[tuple[int, ...]]:
    pairs = zip(spots.tolist(), sizes.tolist(), strict=True)
    return [(x, y, x + w, y + h) for (x, y), (w, h) in pairs if x >= 0]


def some(n: int, seed: int, panel: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    corner = rng.integers(-20, max(panel) + 10, (n, 2))
    anchors = np.concatenate([corner, corner + rng.integers(1, 60, (n, 2))], axis=1)
    return anchors.astype(np.int32), rng.integers([10, 6], [50, 20], (n, 2)).astype(np.int32)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 40),
    st.integers(0, 10**6),
    st.tuples(st.integers(20, 200), st.integers(10, 200)),
    st.integers(0, 4),
)
def test_labels_lie_inside_and_apart(n, seed, panel, gap):
    anchors, sizes = some(n, seed, panel)
    spots = label_positions(anchors, sizes, panel[0], panel[1], gap)
    np.testing.assert_array_equal(spots, label_positions(anchors, sizes, panel[0], panel[1], gap))
    placed = rectangles(spots, sizes)
    for i, (x1, y1, x2, y2) in enumerate(placed):
        assert x1 >= 0
        assert y1 >= 0
        assert x2 <= panel[0]
        assert y2 <= panel[1]
        for other in placed[:i]:
            assert not overlap((x1 - gap, y1 - gap, x2 + gap, y2 + gap), other)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 25), st.integers(0, 10**6), st.integers(0, 3))
def test_a_label_is_left_out_only_when_there_is_no_room(n, seed, gap):
    width, height = 60, 34
    anchors, sizes = some(n, seed, (width, height))
    spots = label_positions(anchors, sizes, width, height, gap)
    for i in range(n):
        if spots[i, 0] >= 0:
            continue
        before = rectangles(spots[:i], sizes[:i])
        w, h = sizes[i].tolist()
        for y in range(height - h + 1):
            for x in range(width - w + 1):
                grown = (x - gap, y - gap, x + w + gap, y + h + gap)
                assert any(overlap(grown, other) for other in before)


def test_above_the_box_first_then_below_then_beside():
    size = np.array([[20, 10]], np.int32)
    for box, expected in [
        ([50, 50, 80, 80], [50, 38]),  # above
        ([50, 5, 80, 35], [50, 37]),  # no room above: below
        ([40, 0, 70, 100], [72, 0]),  # full height: right
        ([75, 0, 98, 100], [53, 0]),  # at the right edge: left
        ([0, 0, 100, 100], [2, 2]),  # all of the panel: inside
        ([90, 50, 99, 80], [80, 38]),  # above, pushed back into the panel
    ]:
        spot = label_positions(np.array([box], np.int32), size, 100, 100, 2)[0]
        assert spot.tolist() == expected, box


def test_a_place_that_hides_no_other_box_is_preferred():
    anchors = np.array([[50, 50, 80, 80], [50, 30, 80, 48]], np.int32)
    sizes = np.array([[20, 10], [20, 10]], np.int32)
    spots = label_positions(anchors, sizes, 100, 100, 2).tolist()
    assert spots == [[50, 82], [50, 18]]


def test_five_hundred_boxes_in_one_spot():
    anchors = np.tile(np.array([[250, 250, 260, 260]], np.int32), (500, 1))
    sizes = np.tile(np.array([[40, 14]], np.int32), (500, 1))
    spots = label_positions(anchors, sizes, 512, 512, 1)
    assert 300 < np.count_nonzero(spots[:, 0] >= 0) < 500


def test_a_label_larger_than_the_panel_is_left_out():
    anchors = np.array([[0, 0, 9, 9]] * 2, np.int32)
    sizes = np.array([[101, 5], [30, 5]], np.int32)
    spots = label_positions(anchors, sizes, 100, 50, 1)
    assert spots[0].tolist() == [-1, -1]
    assert spots[1, 0] >= 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 370), st.integers(0, 370)), min_size=2, max_size=12))
def test_no_other_label_hides_the_first_box_while_there_is_room(corners):
    anchors = np.array([(x, y, x + 40, y + 40) for x, y in corners], np.int32)
    sizes = np.full((len(anchors), 2), (50, 18), np.int32)
    x1, y1, x2, y2 = anchors[0]
    for x, y in label_positions(anchors, sizes, 512, 512, 3)[1:]:
        assert x >= 0
        assert x >= x2 or x + 50 <= x1 or y >= y2 or y + 18 <= y1


def test_a_first_box_that_fills_the_panel_is_written_on():
    anchors = np.array([(0, 0, 100, 100), (10, 10, 40, 40)], np.int32)
    spots = label_positions(anchors, np.full((2, 2), 20, np.int32), 100, 100, 2)
    assert (spots >= 0).all()
