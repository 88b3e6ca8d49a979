"""The fused kernel: one panel of a figure, each row finished before the next is begun.

A row of a panel goes through image, heat, tint, outlines and text while it is in the
first-level cache, then onto the canvas or, as the difference to the row above, into the filtered
rows of a PNG file. Every byte of either is written once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._arrays import plain
from fastcam_kernels._jit import kernel
from fastcam_kernels.blend import (
    SHORTEST,
    blend_row,
    blend_runs,
    level_factor,
    plain_row,
    round_row,
    runs_of,
    tint_row,
)
from fastcam_kernels.boxes import outline_row, rows_of
from fastcam_kernels.filtered_rows import (
    AHEAD,
    as_rows,
    blank_row,
    prefetch_row,
    same_bytes,
    store_grey,
    store_row,
)
from fastcam_kernels.layer_rows import (
    HeatArrays,
    ImageArrays,
    TintArrays,
    blend_of,
    heat_rows,
    image_rows,
    repeated_levels,
    sample_levels,
    sample_tint,
    tint_rows,
)
from fastcam_kernels.panel_layers import Heat, Image, Layers, Outlines, Tint
from fastcam_kernels.resize import NEAREST, sample_row
from fastcam_kernels.text import TextArrays, text_arrays, text_row, text_rows

_Area = tuple[int, int, int, int]
_OutlineArrays = tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int32]]

_NO_HEAT = np.zeros((0, 0), np.float32)
_NO_LEVELS = np.zeros((0, 0), np.uint8)
_NO_STEPS = np.zeros((256, 5), np.uint16)
_NO_HEAT_ARRAYS = (
    _NO_HEAT,
    _NO_LEVELS,
    np.float32(0),
    np.float32(0),
    np.zeros(256, np.uint32),
    _NO_STEPS,
    NEAREST,
)


@kernel
def _panel(
    canvas: NDArray[np.uint8],
    filters: NDArray[np.uint8],
    zeros: NDArray[np.uint8],
    area: _Area,
    image_arrays: ImageArrays,
    heat_arrays: HeatArrays,
    tint_arrays: TintArrays,
    outlines: _OutlineArrays,
    text: TextArrays,
) -> None:
    left, top, width, height = area
    image = image_rows(image_arrays, width, height)
    heat = heat_rows(heat_arrays, width, height)
    tint = tint_rows(tint_arrays, width, height)
    boxes, box_colors, box_widths = outlines
    box_start, box_items = rows_of(boxes[:, 1], boxes[:, 3], height)
    text_start, text_items = text_rows(text, height)
    repeats = repeated_levels(heat, height)
    has_image, has_tint = image.channels > 0, tint.mask.shape[0] > 0
    has_levels = heat.levels.shape[0] > 0
    has_heat = has_levels or heat.values.shape[0] > 0

    level_map = has_levels and not heat.resampled
    blend = blend_of(image, heat, heat_arrays[4], heat_arrays[5])
    # Taken out of their groups here: within the loop each of them would be counted, row by row.
    source, pixels, levels = image.source, blend.image, blend.levels
    starts, lines, inside, tint_color = blend.starts, blend.lines, tint.inside, tint.color
    first = canvas.shape[1] % 3 + 3 * left  # filtered rows begin with a byte of their own
    grey_only = image.channels == 1 and not image.resampled and not has_heat
    may_have_runs = has_levels and image.channels == 1
    runs = 0
    current = 0  # which of the two lines is the row above, until the row is begun
    bare_above = False
    stale = False  # the row above went by without lines
    for row in range(height):
        up = filters[top + row] == 2
        if row + AHEAD < height:
            prefetch_row(canvas, top + row + AHEAD, first, first + 3 * width)
        bare = (
            box_start[row] == box_start[row + 1]
            and text_start[row] == text_start[row + 1]
            and not has_tint
        )
        # Where nothing is drawn over a row that is like the one above, their difference is 0.
        if bare and bare_above and repeats[row] and not has_image:
            if up:
                blank_row(zeros, row, canvas, top + row, first, width)
            else:
                store_row(lines, current, 0, 3 * width, False, canvas, top + row, first)
                zeros[row] = 0
            continue
        if bare and bare_above and grey_only and up:
            if same_bytes(source, row):
                blank_row(zeros, row, canvas, top + row, first, width)
            else:
                store_grey(source, row, canvas, top + row, first)
                zeros[row] = 0
            stale = True
            continue
        if stale:
            plain_row(source, row - 1, 1, lines, current)
            stale = False
        bare_above = bare
        current = 1 - current
        image_row, level_row = 0 if image.resampled else row, row if level_map else 0
        if image.resampled:
            sample_row(image.source, image.channels, image.samples, row, image.sums)
            round_row(image.sums, pixels[0])
        if has_heat and not (repeats[row] or level_map):
            sample_levels(heat, row, levels)
        if may_have_runs and not repeats[row]:
            runs = runs_of(levels, level_row, starts)
        if may_have_runs and runs * SHORTEST <= 2 * width:
            blend_runs(blend, image_row, level_row, runs, current)
        elif has_heat:
            blend_row(blend, image_row, level_row, current)
        elif has_image:
            plain_row(pixels, image_row, image.channels, lines, current)
        else:
            lines[current] = 0
        if has_tint:
            if tint.resampled:
                sample_tint(tint, row)
            tint_row(inside, 0 if tint.resampled else row, tint_color, tint.alpha, lines, current)
        for k in range(box_start[row], box_start[row + 1]):
            outline_row(lines, current, width, row, boxes, box_widths, box_colors, box_items[k])
        begin, end = text_start[row], text_start[row + 1]
        if begin < end:
            text_row(lines, current, 0, width, row, text, text_items, begin, end)
        store_row(lines, current, 0, 3 * width, up, canvas, top + row, first)
        zeros[row] = 0


def panel(
    canvas: NDArray[np.uint8],
    area: tuple[int, int, int, int],
    layers: Layers,
    filters: NDArray[np.uint8] | None = None,
    zeros: NDArray[np.uint8] | None = None,
) -> None:
    """Draw one panel on ``canvas`` (H, W, 3) uint8 RGB, C-contiguous.

    ``area`` (x, y, width, height) in canvas pixels: nothing outside it is written. The layers are
    drawn in their order, in pixels of the panel.

    With ``filters`` (H,) uint8 ``canvas`` is the filtered rows (H, 1 + 3 * W) of a PNG file
    instead, and ``zeros`` (height,) uint8 may say which rows of the panel hold nothing but zeros
    already, from the panel that was drawn there before: they aren't written again, and ``zeros``
    is brought up to date. Half of what a figure's panels write are zeros: 0.1 ms of 0.5.

    Raises ValueError when the rectangle isn't inside the canvas or arrays don't match.
    """
    lines, filters, columns = as_rows(canvas, filters)
    x, y, width, height = area
    rows = len(lines)
    if x < 0 or y < 0 or width < 1 or height < 1 or x + width > columns or y + height > rows:
        raise ValueError(
            f"panel {width}x{height} at ({x}, {y}) isn't inside the canvas of {columns}x{rows}"
        )
    _panel(
        lines,
        filters,
        np.zeros(height, np.uint8) if zeros is None else plain(zeros, np.uint8),
        area,
        _image_arrays(layers.image),
        _heat_arrays(layers.heat, len(layers.image.pixels) > 0),
        _tint_arrays(layers.tint),
        _outline_arrays(layers.outlines),
        text_arrays(layers.text),
    )


def _image_arrays(image: Image) -> ImageArrays:
    rows, columns, channels = image.pixels.shape
    if channels not in (1, 3):
        raise ValueError(f"an image of {channels} channels can't be drawn; use 1 (grey) or 3 (RGB)")
    flat = plain(image.pixels, np.uint8).reshape(rows, columns * channels)
    return flat, channels, image.method


def _heat_arrays(heat: Heat, has_image: bool) -> HeatArrays:
    if not heat.values.size:
        return _NO_HEAT_ARRAYS
    has_levels, tables = heat.values.dtype == np.uint8, heat.tables
    return (
        _NO_HEAT if has_levels else plain(heat.values, np.float32),
        plain(heat.values, np.uint8) if has_levels else _NO_LEVELS,
        np.float32(heat.low),
        np.float32(level_factor(heat.low, heat.high)),
        tables.lookup if has_image else tables.without_image,
        tables.steps if has_image else _NO_STEPS,
        heat.method,
    )


def _tint_arrays(tint: Tint) -> TintArrays:
    return plain(tint.mask, np.uint8), plain(tint.color, np.uint8), np.float32(tint.alpha)


def _outline_arrays(outlines: Outlines) -> _OutlineArrays:
    if not len(outlines.boxes) == len(outlines.colors) == len(outlines.widths):
        raise ValueError("each box needs a color and a width")
    return (
        plain(outlines.boxes, np.int32),
        plain(outlines.colors, np.uint8),
        plain(outlines.widths, np.int32),
    )
