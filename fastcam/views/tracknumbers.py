"""Where the numbers of a track's steps stand: beside their step, off the line, its dots and each
other. Integers of pixels in and out; nothing is drawn here."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

_AIR = 3.0
# Tried from the nearest on, each all around.
_FURTHER = (0.0, 6.0, 14.0, 26.0)
_AROUND = 24
# Of the line, so that none of it slips between two points into a number.
_SPACING = 2.0


@dataclass(eq=False)
class _Taken:
    """What numbers keep away from: points (n, 2) with their radii (n,), and boxes
    (left, top, right, bottom) of numbers."""

    points: Points
    radii: NDArray[np.float64]
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)

    def hits(self, left: float, top: float, right: float, bottom: float) -> bool:
        low, high = np.array((left, top)), np.array((right, bottom))
        outside = np.maximum(np.maximum(low - self.points, self.points - high), 0.0)
        if (np.hypot(*outside.T) < self.radii + _AIR).any():
            return True
        near = (left - _AIR, top - _AIR, right + _AIR, bottom + _AIR)
        return any(
            near[0] < box[2] and box[0] < near[2] and near[1] < box[3] and box[1] < near[3]
            for box in self.boxes
        )


def place_numbers(points: Points, radii: NDArray[np.float64], sizes: Points) -> dict[int, Points]:
    """Middles (x, y) of the numbers that have room, by step; the ends are placed first.

    ``points`` (steps, 2): the track, ``radii`` (steps,) of its dots, ``sizes`` (steps, 2): width
    and height of the numbers, all in pixels. A step in a crowd has none.
    """
    line = _along(points)
    taken = _Taken(
        np.concatenate([line, points]), np.concatenate([np.zeros(len(line)), radii])
    )  # fmt: skip
    found = {}
    for step in (0, *range(len(points) - 1, 0, -1)):
        middle = _free(points, step, radii[step], sizes[step], taken)
        if middle is not None:
            found[step] = middle
    return found


def _free(points: Points, step: int, radius: float, size: Points, taken: _Taken) -> Points | None:
    half = size / 2
    for further in _FURTHER:
        for direction in _directions(points, step):
            # So far out that the box just clears the dot.
            reach = radius + _AIR + 1.0 + further
            middle: Points = points[step] + direction * reach + np.sign(direction.round(6)) * half
            box = (*(middle - half).tolist(), *(middle + half).tolist())
            if not taken.hits(*box):
                taken.boxes.append(box)
                return middle
    return None


def _directions(points: Points, step: int) -> Points:
    """Unit vectors all around, those first that lead away from the neighbours on the track."""
    towards = np.zeros(2)
    for other in (step - 1, step + 1):
        if 0 <= other < len(points):
            way = points[other] - points[step]
            towards += way / max(float(np.hypot(*way)), 1e-9)
    angles = np.arange(_AROUND) * (2 * np.pi / _AROUND)
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # On a straight way all are alike; then upwards and to the right comes first.
    return around[np.argsort(around @ (towards - (0.02, 0.03)), kind="stable")]


def _along(points: Points) -> Points:
    parts = [points]
    for start, end in itertools.pairwise(points):
        count = int(np.hypot(*(end - start)) / _SPACING) + 1
        parts.append(start + np.linspace(0, 1, count, endpoint=False)[:, None] * (end - start))
    return np.concatenate(parts)
