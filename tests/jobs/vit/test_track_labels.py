"""Numbers beside the steps of a track: on nothing, and there wherever there is room."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.jobs.vit.track_labels import label_positions

SIZE = (24.0, 15.0)


def placed(points: np.ndarray, radius: float = 7.0) -> dict[int, np.ndarray]:
    return label_positions(
        points.astype(float), np.full(len(points), radius), np.tile(SIZE, (len(points), 1))
    )


def gap(box: np.ndarray, start: np.ndarray, end: np.ndarray) -> float:
    """From a box (x1, y1, x2, y2) to a stretch of line, by walking along it slowly."""
    way = start + np.linspace(0, 1, 400)[:, None] * (end - start)
    off = np.maximum(np.maximum(box[:2] - way, way - box[2:]), 0)
    return float(np.hypot(*off.T).min())


def box_of(middle: np.ndarray) -> np.ndarray:
    return np.concatenate([middle - np.array(SIZE) / 2, middle + np.array(SIZE) / 2])


@pytest.mark.parametrize("way", [(1, 0), (0, 1), (1, 1), (-2, 1)])
def test_every_step_of_a_straight_way_has_its_number(way: tuple[int, int]) -> None:
    points = np.arange(6)[:, None] * 60 * np.array(way)
    assert sorted(placed(points)) == [0, 1, 2, 3, 4, 5]


def test_a_number_is_beside_its_own_step_on_the_outer_side_of_a_bend() -> None:
    points = np.array([[0, 0], [100, 100], [200, 0]])
    found = placed(points)
    assert found[1][1] > 100 + 7
    for step, middle in found.items():
        away = np.hypot(*(points - middle).T)
        assert away.argmin() == step
        assert away[step] < 45


def test_in_a_crowd_some_have_none() -> None:
    points = np.array([[0, 0], *([[300 + at % 3, at] for at in range(12)]), [600, 0]])
    found = placed(points)
    assert {0, 13} <= set(found)
    assert 2 < len(found) < 14


def test_two_steps_in_one_place() -> None:
    assert set(placed(np.zeros((3, 2)))) <= {0, 1, 2}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 350)), min_size=2, max_size=26))
def test_numbers_lie_on_nothing(track: list[tuple[int, int]]) -> None:
    points = np.array(track, float)
    boxes = {step: box_of(middle) for step, middle in placed(points).items()}
    for step, box in boxes.items():
        for start, end in itertools.pairwise(points):
            assert gap(box, start, end) > 1
        assert min(gap(box, dot, dot) for dot in points) > 7
        for other, second in boxes.items():
            separation = np.maximum(second[:2] - box[2:], box[:2] - second[2:]).max()
            assert other == step or separation > 0
