"""Positions of labels that leave every box free, where what is in the boxes is to be seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Pixels between the positions that are tried.
_STEP = 3


def clear_positions(
    boxes: NDArray[np.int32], sizes: NDArray[np.int32], width: int, height: int, gap: int
) -> NDArray[np.int32]:
    """Top-left corners (n, 2) int32 of n labels, (-1, -1) for a label there is no room for.

    boxes (n, 4) int32 x1, y1, x2, y2 in panel pixels; sizes (n, 2) int32: width and height of each
    label; ``gap``: pixels to leave between a label and any box or other label. Each label stands
    where its middle is nearest to that of its box.
    """
    obstacles = boxes.tolist()
    corners = np.full((len(sizes), 2), -1, np.int32)
    for number, (wide, high) in enumerate(sizes.tolist()):
        if wide > width or high > height:
            continue
        x = np.arange(0, width - wide + 1, _STEP)[np.newaxis, :]
        y = np.arange(0, height - high + 1, _STEP)[:, np.newaxis]
        x1, y1, x2, y2 = boxes[number].tolist()
        across, down = x + wide / 2 - (x1 + x2) / 2, y + high / 2 - (y1 + y2) / 2
        distances = across**2 + down**2
        for left, top, right, bottom in obstacles:
            beside = (x >= right + gap) | (x + wide + gap <= left)
            distances[~(beside | (y >= bottom + gap) | (y + high + gap <= top))] = np.inf
        at = int(distances.argmin())
        if not np.isfinite(distances.flat[at]):
            continue
        row, column = divmod(at, distances.shape[1])
        corners[number] = x[0, column], y[row, 0]
        left, top = corners[number].tolist()
        obstacles.append([left, top, left + wide, top + high])
    return corners
