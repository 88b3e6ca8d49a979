"""The numbers of a track's steps, each beside its step, clear of the line, its dots and each other.

All lengths are pixels; nothing is drawn here.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

# Left free around a number.
_MARGIN = 3.0
# Distances between a step's dot and its number; the nearest is tried first, each in all directions.
_DISTANCES = (0.0, 6.0, 14.0, 26.0)
_DIRECTIONS = 24
# Between points of the line, so that none of it slips between two of them into a number.
_SPACING = 2.0


@dataclass(eq=False)
class _Obstacles:
    """What numbers keep away from.

    - ``points`` (n, 2) float64 with their ``radii`` (n,): the line and its dots
    - ``boxes``: (left, top, right, bottom) of the numbers that have a position
    """

    points: Points
    radii: NDArray[np.float64]
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)

    def touch(self, left: float, top: float, right: float, bottom: float) -> bool:
        low, high = np.array((left, top)), np.array((right, bottom))
        outside = np.maximum(np.maximum(low - self.points, self.points - high), 0.0)
        if (np.hypot(*outside.T) < self.radii + _MARGIN).any():
            return True
        near = (left - _MARGIN, top - _MARGIN, right + _MARGIN, bottom + _MARGIN)
        return any(
            near[0] < box[2] and box[0] < near[2] and near[1] < box[3] and box[1] < near[3]
            for box in self.boxes
        )


def label_positions(points: Points, radii: NDArray[np.float64], sizes: Points) -> dict[int, Points]:
    """Middles (x, y) of the numbers that have room, by step. The first and the last step come
    first; a step in a crowd has none.

    - ``points`` (steps, 2) float64: the track
    - ``radii`` (steps,) float64: of its dots
    - ``sizes`` (steps, 2) float64: width and height of the numbers
    """
    line = _line(points)
    obstacles = _Obstacles(
        np.concatenate([line, points]), np.concatenate([np.zeros(len(line)), radii])
    )
    positions = {}
    for step in (0, *range(len(points) - 1, 0, -1)):
        middle = _free_position(points, step, radii[step], sizes[step], obstacles)
        if middle is not None:
            positions[step] = middle
    return positions


def _free_position(
    points: Points, step: int, radius: float, size: Points, obstacles: _Obstacles
) -> Points | None:
    half = size / 2
    for distance in _DISTANCES:
        for direction in _directions(points, step):
            # So far out that the box just clears the dot.
            reach = radius + _MARGIN + 1.0 + distance
            middle: Points = points[step] + direction * reach + np.sign(direction.round(6)) * half
            box = (*(middle - half).tolist(), *(middle + half).tolist())
            if not obstacles.touch(*box):
                obstacles.boxes.append(box)
                return middle
    return None


def _directions(points: Points, step: int) -> Points:
    """Unit vectors in all directions, those first that lead away from the step's neighbors."""
    towards = np.zeros(2)
    for neighbour in (step - 1, step + 1):
        if 0 <= neighbour < len(points):
            way = points[neighbour] - points[step]
            towards += way / max(float(np.hypot(*way)), 1e-9)
    angles = np.arange(_DIRECTIONS) * (2 * np.pi / _DIRECTIONS)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # On a straight line all are alike; then upwards and to the right comes first.
    return vectors[np.argsort(vectors @ (towards - (0.02, 0.03)), kind="stable")]


def _line(points: Points) -> Points:
    """Points on the line of the track, ``_SPACING`` apart at most."""
    parts = [points]
    for start, end in itertools.pairwise(points):
        count = int(np.hypot(*(end - start)) / _SPACING) + 1
        parts.append(start + np.linspace(0, 1, count, endpoint=False)[:, None] * (end - start))
    return np.concatenate(parts)
