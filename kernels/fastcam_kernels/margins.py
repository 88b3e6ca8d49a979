"""Everything of a figure that is not a panel: background, header, captions, numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._arrays import plain
from fastcam_kernels._jit import kernel
from fastcam_kernels.boxes import fill_span
from fastcam_kernels.filtered_rows import as_rows, store_row
from fastcam_kernels.panel_layers import Text
from fastcam_kernels.text import TextArrays, text_arrays, text_row, text_rows


@kernel
def _margins(
    canvas: NDArray[np.uint8],
    filters: NDArray[np.uint8],
    background: NDArray[np.uint8],
    panels: NDArray[np.int32],
    text: TextArrays,
    area: tuple[int, int, int, int],
) -> None:
    left, top, right, bottom = area
    width, first = canvas.shape[1] // 3, canvas.shape[1] % 3
    page = np.empty((2, 3 * width), np.uint8)
    fill_span(page, 0, left, right, width, background, 0)
    lines = np.empty((2, 3 * width), np.uint8)
    text_start, text_items = text_rows(text, bottom)
    blank = np.full(2, False)
    # The row above the first one is drawn, too, since that one is stored as the difference to it.
    for row in range(max(top - 1, 0), bottom):
        current = row % 2
        if not blank[current]:
            store_row(page, 0, 3 * left, 3 * right, False, lines, current, 3 * left)
        begin, end = text_start[row], text_start[row + 1]
        blank[current] = begin == end
        if begin < end:
            text_row(lines, current, left, right, row, text, text_items, begin, end)
        if row < top:
            continue
        if first == 1:
            canvas[row, 0] = filters[row]
        up = filters[row] == 2
        start = left
        while start < right:
            stop, inside = right, start
            for p in range(panels.shape[0]):
                if panels[p, 1] <= row < panels[p, 3] and start < panels[p, 2]:
                    if panels[p, 0] <= start:
                        inside = max(inside, panels[p, 2])
                    else:
                        stop = min(stop, panels[p, 0])
            if inside > start:
                start = inside
                continue
            column = first + 3 * start
            if up and blank[0] and blank[1]:
                canvas[row, column : first + 3 * stop] = 0
            else:
                store_row(lines, current, 3 * start, 3 * stop, up, canvas, row, column)
            start = stop


def margins(
    canvas: NDArray[np.uint8],
    background: NDArray[np.uint8],
    panels: NDArray[np.int32],
    text: Text,
    filters: NDArray[np.uint8] | None = None,
    area: tuple[int, int, int, int] | None = None,
) -> None:
    """Fill ``canvas`` (H, W, 3) uint8 RGB outside the panels with background and text.

    background (3,) uint8 RGB; panels (n, 4) int32: their x1, y1, x2, y2 on the canvas, where
    nothing is written; ``text`` in canvas pixels. With ``filters`` (H,) uint8 ``canvas`` is the
    filtered rows of a PNG file, whose first bytes are written too. ``area`` (x1, y1, x2, y2) in
    canvas pixels: nothing outside it is written.
    """
    lines, filters, width = as_rows(canvas, filters)
    left, top, right, bottom = (0, 0, width, len(lines)) if area is None else area
    _margins(
        lines,
        filters,
        plain(background, np.uint8).reshape(1, 3),
        plain(panels, np.int32),
        text_arrays(text),
        (max(0, left), max(0, top), min(width, right), max(0, min(len(lines), bottom))),
    )
