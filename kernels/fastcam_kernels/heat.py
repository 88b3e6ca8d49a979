"""Patch weights to heat: per pixel the weight summed over its boxes, divided by their number."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._arrays import plain
from fastcam_kernels._jit import borrowing_kernel, kernel


class PatchCells(NamedTuple):
    """Heat before it is spread over the pixels: see :func:`patch_cells`.

    Attributes:
        heat: (cy, cx) float32.
        boxes: (cy, cx) float32, how many lie on each cell.
        rows: (height,) int32, the cell of each row of pixels.
        columns: (width,) int32, the cell of each column of pixels.
    """

    heat: NDArray[np.float32]
    boxes: NDArray[np.float32]
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]


@kernel
def _clip_boxes(boxes: NDArray[np.int32], width: int, height: int) -> NDArray[np.int32]:
    clipped = np.empty_like(boxes)
    for i in range(boxes.shape[0]):
        clipped[i, 0] = min(max(boxes[i, 0], 0), width)
        clipped[i, 1] = min(max(boxes[i, 1], 0), height)
        clipped[i, 2] = min(max(boxes[i, 2], clipped[i, 0]), width)
        clipped[i, 3] = min(max(boxes[i, 3], clipped[i, 1]), height)
    return clipped


@borrowing_kernel
def _add_boxes(
    boxes: NDArray[np.int32],
    weights: NDArray[np.float32],
    total: NDArray[np.float32],
    count: NDArray[np.float32],
) -> None:
    """Add each box's weight to ``total`` and 1 to ``count``, in order."""
    for i in range(boxes.shape[0]):
        weight = weights[i]
        for y in range(boxes[i, 1], boxes[i, 3]):
            total_row = total[y, boxes[i, 0] : boxes[i, 2]]
            count_row = count[y, boxes[i, 0] : boxes[i, 2]]
            for x in range(total_row.shape[0]):
                total_row[x] += weight
                count_row[x] += np.float32(1.0)


@borrowing_kernel
def _divide(total: NDArray[np.float32], count: NDArray[np.float32]) -> None:
    """Sums of weights to their means, where any box lies."""
    for y in range(total.shape[0]):
        total_row, count_row = total[y], count[y]
        for x in range(total_row.shape[0]):
            total_row[x] /= max(count_row[x], np.float32(1.0))


@kernel
def _patch_heat(
    boxes: NDArray[np.int32], weights: NDArray[np.float32], heat: NDArray[np.float32]
) -> None:
    height, width = heat.shape
    boxes = _clip_boxes(boxes, width, height)
    left, top, right, bottom = width, height, 0, 0
    for i in range(boxes.shape[0]):
        if boxes[i, 0] < boxes[i, 2] and boxes[i, 1] < boxes[i, 3]:
            left, top = min(left, boxes[i, 0]), min(top, boxes[i, 1])
            right, bottom = max(right, boxes[i, 2]), max(bottom, boxes[i, 3])
    if left >= right:
        return
    for i in range(boxes.shape[0]):
        for k in range(4):
            boxes[i, k] -= left if k % 2 == 0 else top
    count = np.zeros((bottom - top, right - left), np.float32)
    region = heat[top:bottom, left:right]
    _add_boxes(boxes, weights, region, count)
    _divide(region, count)


@kernel
def _grid_lines(boxes: NDArray[np.int32], axis: int, size: int) -> NDArray[np.int32]:
    """Number of box edges below each coordinate 0..size: the cell in which it lies."""
    cell = np.zeros(size + 1, np.int32)
    cell[size] = 1
    for i in range(boxes.shape[0]):
        cell[boxes[i, axis]] = 1
        cell[boxes[i, axis + 2]] = 1
    cell[0] = 0
    for k in range(size):
        cell[k + 1] += cell[k]
    return cell


@kernel
def _patch_cells(
    boxes: NDArray[np.int32], weights: NDArray[np.float32], height: int, width: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]:
    boxes = _clip_boxes(boxes, width, height)
    cell_x, cell_y = _grid_lines(boxes, 0, width), _grid_lines(boxes, 1, height)
    for i in range(boxes.shape[0]):
        boxes[i, 0], boxes[i, 2] = cell_x[boxes[i, 0]], cell_x[boxes[i, 2]]
        boxes[i, 1], boxes[i, 3] = cell_y[boxes[i, 1]], cell_y[boxes[i, 3]]
    total = np.zeros((cell_y[height], cell_x[width]), np.float32)
    count = np.zeros((cell_y[height], cell_x[width]), np.float32)
    _add_boxes(boxes, weights, total, count)
    _divide(total, count)
    return total, count, cell_y[:height], cell_x[:width]


@borrowing_kernel
def _spread(
    cells: NDArray[np.uint8],
    cell_y: NDArray[np.int32],
    cell_x: NDArray[np.int32],
    out: NDArray[np.uint8],
) -> None:
    height, width = out.shape
    for y in range(height):
        line = out[y]
        if y > 0 and cell_y[y] == cell_y[y - 1]:
            above = out[y - 1]
            for x in range(width):
                line[x] = above[x]
        else:
            row = cells[cell_y[y]]
            for x in range(width):
                line[x] = row[cell_x[x]]


def patch_heat(
    boxes: NDArray[np.int32],
    weights: NDArray[np.float32],
    height: int,
    width: int,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Heat (height, width) float32 from boxes (n, 4) int32 and weights (n,) float32.

    Boxes are (x1, y1, x2, y2) in pixels, x2 and y2 exclusive, and are clipped to the slice; a
    pixel under no box is 0. Sums run in the order of the boxes, in float32.

    ``out``, C-contiguous, is overwritten and returned. Reusing one saves the system's handing
    out of fresh pages, which costs more than the drawing (512x512: 0.09 ms instead of 0.48).
    """
    if out is None:
        out = np.zeros((height, width), np.float32)
    elif out.shape != (height, width) or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise ValueError(f"out must be C-contiguous float32 of shape {(height, width)}")
    else:
        out.fill(0.0)
    _patch_heat(plain(boxes, np.int32), plain(weights, np.float32), out)
    return out


def patch_cells(
    boxes: NDArray[np.int32], weights: NDArray[np.float32], height: int, width: int
) -> PatchCells:
    """``patch_heat`` before it is spread over the pixels.

    Heat only changes at the edges of boxes, so one value for each cell of the grid of edges is
    all there is: ``patch_heat == cells.heat[cells.rows][:, cells.columns]``. 24 boxes have at most
    49 x 49 cells where a slice has 512 x 512 pixels. Sizes are at least 1.
    """
    return PatchCells(
        *_patch_cells(plain(boxes, np.int32), plain(weights, np.float32), height, width)
    )


def spread(
    cells: NDArray[np.uint8],
    cell_y: NDArray[np.int32],
    cell_x: NDArray[np.int32],
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Cells (cy, cx) uint8 over their pixels: ``cells[cell_y][:, cell_x]`` (height, width).

    ``out`` is a C-contiguous array of that shape to use again.
    """
    out = np.empty((len(cell_y), len(cell_x)), np.uint8) if out is None else out
    _spread(plain(cells, np.uint8), plain(cell_y, np.int32), plain(cell_x, np.int32), out)
    return out


def heat_peak(
    boxes: NDArray[np.int32], weights: NDArray[np.float32], height: int, width: int
) -> tuple[float, float]:
    """Lowest and highest value of ``patch_heat`` of the same arguments, without drawing it.

    An empty slice gives (0.0, 0.0).
    """
    if height < 1 or width < 1:
        return 0.0, 0.0
    cells = patch_cells(boxes, weights, height, width).heat
    return float(cells.min()), float(cells.max())
