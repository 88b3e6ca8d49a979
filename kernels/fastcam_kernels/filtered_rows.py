"""Where finished lines go: onto a canvas, or into the filtered rows of a PNG file.

Filtered rows are (H, 1 + 3 * W) uint8 with ``filters`` (H,) uint8, the PNG filter of each row: 2
(Up), or 0 (None) where the row above belongs to another panel or margin, that is where a panel
begins or has just ended (:func:`filters_of`). So panels never have to look at each other.

Filtering while a line is in the first-level cache, instead of in a pass of its own over a
finished canvas, saves writing 4 MB and reading them again: benchmarks/bench_render.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._arrays import plain
from fastcam_kernels._jit import borrowing_kernel
from fastcam_kernels._prefetch import LINE, prefetch

# Rows that a panel fetches before they are written. Its part of a row is too short for the CPU to
# see the next one coming: 0.1 ms of the 0.5 for a figure's four panels.
AHEAD = 10


@borrowing_kernel
def store_row(
    lines: NDArray[np.uint8],
    current: int,
    start: int,
    stop: int,
    up: bool,
    canvas: NDArray[np.uint8],
    row: int,
    first: int,
) -> None:
    """Bytes start..stop-1 of ``lines[current]`` onto the canvas, from byte ``first`` of ``row``.

    With ``up`` their difference to the line above, which is the other one of ``lines`` (2, n).
    Here as in the other row kernels whole arrays and an index come in: where the caller's loop
    takes views, counting their references costs 0.03 ms per panel of 512 rows, twice the drawing.
    """
    line, above = lines[current, start:stop], lines[1 - current, start:stop]
    target = canvas[row, first : first + stop - start]
    if up:
        for i in range(line.shape[0]):
            target[i] = line[i] - above[i]
    else:
        for i in range(line.shape[0]):
            target[i] = line[i]


@borrowing_kernel
def store_grey(
    image: NDArray[np.uint8], image_row: int, canvas: NDArray[np.uint8], row: int, first: int
) -> None:
    """A grey row's difference to the one above it in ``image``, three times a pixel.

    What ``blend.plain_row`` and ``store_row`` do with ``up``, without the lines in between.
    """
    line, above = image[image_row], image[image_row - 1]
    target = canvas[row, first : first + 3 * line.shape[0]]
    for x in range(line.shape[0]):
        step = np.uint8(line[x] - above[x])
        target[3 * x] = step
        target[3 * x + 1] = step
        target[3 * x + 2] = step


@borrowing_kernel
def same_row(rows: NDArray[np.float32], row: int) -> bool:
    """Whether row ``row`` holds what the one above it holds; so does ``same_bytes``."""
    first, second = rows[row], rows[row - 1]
    different = 0
    for x in range(first.shape[0]):
        different += first[x] != second[x]  # NaN differs, and is drawn again
    return different == 0


@borrowing_kernel
def same_bytes(rows: NDArray[np.uint8], row: int) -> bool:
    first, second = rows[row], rows[row - 1]
    different = np.uint8(0)
    for x in range(first.shape[0]):
        # Numba widens bytes to eight: back to bytes at every step, it takes a seventh of the time.
        different = np.uint8(different | np.uint8(first[x] ^ second[x]))
    return bool(different == 0)


@borrowing_kernel
def blank_row(
    zeros: NDArray[np.uint8], row: int, canvas: NDArray[np.uint8], at: int, first: int, width: int
) -> None:
    """A panel's row without a difference to the one above, unless ``zeros`` knows it is there."""
    if zeros[row] == 0:
        canvas[at, first : first + 3 * width] = 0
        zeros[row] = 1


@borrowing_kernel
def prefetch_row(canvas: NDArray[np.uint8], row: int, first: int, last: int) -> None:
    """Fetch bytes first..last-1 of a row that will be written soon."""
    for at in range(first, last, LINE):
        prefetch(canvas, row, at)


def filters_of(height: int, panels: NDArray[np.int32]) -> NDArray[np.uint8]:
    """PNG filters (height,) uint8 of rows under ``panels`` (n, 4) int32 x1, y1, x2, y2."""
    filters = np.full(height, 2, np.uint8)
    filters[0] = 0
    edges = panels[:, 1::2].ravel()
    filters[edges[(edges >= 0) & (edges < height)]] = 0
    return filters


def as_rows(
    canvas: NDArray[np.uint8], filters: NDArray[np.uint8] | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], int]:
    """Canvas or filtered rows as the kernels take them, and the picture's width."""
    height = canvas.shape[0]
    if canvas.ndim == 3 and canvas.shape[2] == 3 and filters is None:
        width = canvas.shape[1]
        return canvas.reshape(height, 3 * width), np.zeros(height, np.uint8), width
    if canvas.ndim == 2 and canvas.shape[1] % 3 == 1 and filters is not None:
        return canvas, plain(filters, np.uint8), canvas.shape[1] // 3
    raise ValueError(
        f"{canvas.shape} is neither a canvas (H, W, 3) nor, with filters, PNG rows (H, 1 + 3 * W)"
    )
