"""Rectangles drawn row by row: outlines, filled boxes, and which of them touch which row.

Rectangles are (x1, y1, x2, y2) in pixels, x2 and y2 exclusive. Rows are canvas rows stored as
``3 * width`` bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._jit import borrowing_kernel, kernel


@kernel
def rows_of(
    tops: NDArray[np.int32], bottoms: NDArray[np.int32], height: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Which items touch each row: those of row r are ``items[start[r]:start[r + 1]]``, in order.

    Looking through every item on every row would cost more than drawing them.
    """
    start = np.zeros(height + 1, np.int32)
    if tops.shape[0] == 0:
        return start, np.empty(0, np.int32)
    for i in range(tops.shape[0]):
        for row in range(max(0, tops[i]), min(height, bottoms[i])):
            start[row + 1] += 1
    for row in range(height):
        start[row + 1] += start[row]
    items = np.empty(start[height], np.int32)
    free = start.copy()
    for i in range(tops.shape[0]):
        for row in range(max(0, tops[i]), min(height, bottoms[i])):
            items[free[row]] = i
            free[row] += 1
    return start, items


@borrowing_kernel
def fill_span(
    lines: NDArray[np.uint8],
    current: int,
    start: int,
    stop: int,
    width: int,
    colors: NDArray[np.uint8],
    item: int,
) -> None:
    """Fill columns start..stop-1 of ``lines[current]``, clipped to 0..width-1, with one color."""
    pixels = lines[current]
    red, green, blue = colors[item, 0], colors[item, 1], colors[item, 2]
    for x in range(max(0, start), min(width, stop)):
        pixels[3 * x] = red
        pixels[3 * x + 1] = green
        pixels[3 * x + 2] = blue


@borrowing_kernel
def outline_row(
    lines: NDArray[np.uint8],
    current: int,
    width: int,
    row: int,
    boxes: NDArray[np.int32],
    widths: NDArray[np.int32],
    colors: NDArray[np.uint8],
    b: int,
) -> None:
    """Row ``row`` of box ``b``'s outline, ``widths[b]`` pixels thick and lying inside the box."""
    x1, x2, line = boxes[b, 0], boxes[b, 2], widths[b]
    if row < boxes[b, 1] + line or row >= boxes[b, 3] - line or 2 * line >= x2 - x1:
        fill_span(lines, current, x1, x2, width, colors, b)
    else:
        fill_span(lines, current, x1, x1 + line, width, colors, b)
        fill_span(lines, current, x2 - line, x2, width, colors, b)
