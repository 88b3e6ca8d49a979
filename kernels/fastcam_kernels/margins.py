"""Everything of a figure that is not a panel: paper, header, captions, numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._arrays import plain
from fastcam_kernels._jit import kernel
from fastcam_kernels.boxes import fill_span, rows_of
from fastcam_kernels.rows import as_rows, store_row
from fastcam_kernels.text import ink_row, mark_rows


@kernel
def _margins(
    canvas: NDArray[np.uint8],
    filters: NDArray[np.uint8],
    background: NDArray[np.uint8],
    holes: NDArray[np.int32],
    plates: NDArray[np.int32],
    plate_colour: NDArray[np.uint8],
    coverage: NDArray[np.uint8],
    glyphs: NDArray[np.int32],
    marks: NDArray[np.int32],
    left: int,
    top: int,
    right: int,
    bottom: int,
) -> None:
    width, first = canvas.shape[1] // 3, canvas.shape[1] % 3
    paper = np.empty((2, 3 * width), np.uint8)
    fill_span(paper, 0, left, right, width, background, 0)
    lines = np.empty((2, 3 * width), np.uint8)
    plate_start, plate_items = rows_of(plates[:, 1], plates[:, 3], bottom)
    mark_tops, mark_bottoms = mark_rows(glyphs, marks)
    mark_start, mark_items = rows_of(mark_tops, mark_bottoms, bottom)
    blank = np.full(2, False)
    # The row above the first one is drawn, too, since that one is stored as the difference to it.
    for row in range(max(top - 1, 0), bottom):
        held = row % 2
        if not blank[held]:
            store_row(paper, 0, 3 * left, 3 * right, False, lines, held, 3 * left)
        blank[held] = (
            plate_start[row] == plate_start[row + 1] and mark_start[row] == mark_start[row + 1]
        )
        for k in range(plate_start[row], plate_start[row + 1]):
            p = plate_items[k]
            start, stop = max(left, plates[p, 0]), min(right, plates[p, 2])
            fill_span(lines, held, start, stop, width, plate_colour, p)
        begin, end = mark_start[row], mark_start[row + 1]
        if begin < end:
            ink_row(lines, held, left, right, row, coverage, glyphs, marks, mark_items, begin, end)
        if row < top:
            continue
        if first == 1:
            canvas[row, 0] = filters[row]
        up = filters[row] == 2
        start = left
        while start < right:
            stop, inside = right, start
            for h in range(holes.shape[0]):
                if holes[h, 1] <= row < holes[h, 3] and start < holes[h, 2]:
                    if holes[h, 0] <= start:
                        inside = max(inside, holes[h, 2])
                    else:
                        stop = min(stop, holes[h, 0])
            if inside > start:
                start = inside
                continue
            place = first + 3 * start
            if up and blank[0] and blank[1]:
                canvas[row, place : first + 3 * stop] = 0
            else:
                store_row(lines, held, 3 * start, 3 * stop, up, canvas, row, place)
            start = stop


def margins(
    canvas: NDArray[np.uint8],
    background: NDArray[np.uint8],
    holes: NDArray[np.int32],
    plates: NDArray[np.int32],
    plate_colour: NDArray[np.uint8],
    coverage: NDArray[np.uint8],
    glyphs: NDArray[np.int32],
    marks: NDArray[np.int32],
    filters: NDArray[np.uint8] | None = None,
    area: tuple[int, int, int, int] | None = None,
) -> None:
    """Fill ``canvas`` (H, W, 3) outside the panels with paper, plates and text.

    background (3,) uint8; holes (n, 4) int32: the panels' x1, y1, x2, y2 on the canvas, where
    nothing is written; plates and marks as for ``panel``, in canvas pixels. With ``filters`` (H,)
    ``canvas`` is the filtered rows of a PNG file, whose first bytes are written too. ``area``
    (x1, y1, x2, y2) in canvas pixels: nothing outside it is written.
    """
    lines, filters, width = as_rows(canvas, filters)
    left, top, right, bottom = (0, 0, width, len(lines)) if area is None else area
    if len(plates) != len(plate_colour):
        raise ValueError("each plate needs a colour")
    _margins(
        lines,
        filters,
        plain(background, np.uint8).reshape(1, 3),
        plain(holes, np.int32),
        plain(plates, np.int32),
        plain(plate_colour, np.uint8),
        plain(coverage, np.uint8),
        plain(glyphs, np.int32),
        plain(marks, np.int32),
        max(0, left),
        max(0, top),
        min(width, right),
        min(len(lines), bottom),
    )
