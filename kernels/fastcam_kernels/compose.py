"""The fused kernel: one panel of a figure, each row finished before the next is begun.

A row of a panel goes through image, heat, tint, outlines and text while it is in the
first-level cache, then onto the canvas or, as the difference to the row above, into the filtered
rows of a PNG file. Every byte of either is written once.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._arrays import plain
from fastcam_kernels._jit import kernel
from fastcam_kernels.blend import (
    blend_lookup,
    blend_row,
    heat_levels,
    level_factor,
    plain_row,
    round_row,
    tint_row,
)
from fastcam_kernels.boxes import outline_row, rows_of
from fastcam_kernels.layers import Heat, Image, Layers, Outlines, Tint
from fastcam_kernels.resize import NEAREST, sample_row, taps
from fastcam_kernels.rows import (
    AHEAD,
    as_rows,
    blank_row,
    prefetch_row,
    same_bytes,
    same_row,
    store_grey,
    store_row,
)
from fastcam_kernels.runs import SHORTEST, blend_runs, exact_steps, runs_of
from fastcam_kernels.text import TextArrays, text_arrays, text_row, text_rows

# Each layer as the kernel takes it: a plain tuple, unpacked at once (see ``text``).
_Area = tuple[int, int, int, int]
_ImageArrays = tuple[NDArray[np.uint8], int, int]
_HeatArrays = tuple[
    NDArray[np.float32], NDArray[np.uint8], np.float32, np.float32, NDArray[np.uint32],
    NDArray[np.uint16], int,
]  # fmt: skip
_TintArrays = tuple[NDArray[np.uint8], NDArray[np.uint8], np.float32]
_OutlineArrays = tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int32]]

_NO_HEAT = np.zeros((0, 0), np.float32)
_NO_LEVELS = np.zeros((0, 0), np.uint8)
_NO_STEPS = np.zeros((256, 5), np.uint16)


@kernel
def _panel(
    canvas: NDArray[np.uint8],
    filters: NDArray[np.uint8],
    zeros: NDArray[np.uint8],
    area: _Area,
    image_arrays: _ImageArrays,
    heat_arrays: _HeatArrays,
    tint_arrays: _TintArrays,
    outlines: _OutlineArrays,
    text: TextArrays,
) -> None:
    left, top, width, height = area
    image, channels, image_method = image_arrays
    heat, level_map, low, factor, lookup, steps, heat_method = heat_arrays
    tint, tint_colour, tint_alpha = tint_arrays
    boxes, box_colours, box_widths = outlines

    has_image = image.shape[0] > 0
    has_levels = level_map.shape[0] > 0
    has_heat = heat.shape[0] > 0 or has_levels
    has_tint = tint.shape[0] > 0
    heat_height, heat_width = level_map.shape if has_levels else heat.shape
    same_image = has_image and image.shape[0] == height and image.shape[1] == width * channels
    same_heat = has_heat and heat_height == height and heat_width == width
    same_tint = has_tint and tint.shape[0] == height and tint.shape[1] == width
    image_channels = channels if has_image else 0

    # Where nothing is resampled along an axis, it has no taps.
    rows, columns = (height, width) if has_image and not same_image else (0, 0)
    image_y, image_wy, image_taps = taps(image.shape[0], rows, image_method)
    image_x, image_wx, _ = taps(image.shape[1] // channels, columns, image_method)
    rows, columns = (height, width) if has_heat and not same_heat else (0, 0)
    method = NEAREST if has_levels else heat_method
    heat_y, heat_wy, heat_taps = taps(heat_height, rows, method)
    heat_x, heat_wx, _ = taps(heat_width, columns, method)
    rows, columns = (height, width) if has_tint and not same_tint else (0, 0)
    tint_y, _, _ = taps(tint.shape[0], rows, NEAREST)
    tint_x, _, _ = taps(tint.shape[1], columns, NEAREST)

    box_start, box_items = rows_of(boxes[:, 1], boxes[:, 3], height)
    text_start, text_items = text_rows(text, height)

    image_ring, image_rows = np.empty((4, width * channels), np.float32), np.full(4, -1, np.int32)
    heat_ring, heat_rows = np.empty((4, width), np.float32), np.full(4, -1, np.int32)
    samples = np.empty(width * channels, np.float32)
    pixels = image if same_image else np.empty((1, width * channels), np.uint8)
    levels = level_map if has_levels and same_heat else np.empty((1, width), np.uint8)
    inside = tint if same_tint else np.empty((1, width), np.uint8)
    packed, starts, runs = np.empty(width, np.uint32), np.empty(width + 1, np.int32), 0
    may_have_runs = has_levels and image_channels == 1
    first = canvas.shape[1] % 3 + 3 * left  # filtered rows begin with a byte of their own
    lines = np.empty((2, 3 * width), np.uint8)
    current = 0  # which of the two lines is the row above, until the row is begun
    bare_above = False
    grey_only = same_image and image_channels == 1 and not has_heat
    stale = False  # the row above went by without lines
    for row in range(height):
        up = filters[top + row] == 2
        if row + AHEAD < height:
            prefetch_row(canvas, top + row + AHEAD, first, first + 3 * width)
        # Patch heat changes at the edges of boxes only, so most rows have the levels of the row
        # above, and where nothing else is drawn their difference is 0 throughout.
        bare = (
            box_start[row] == box_start[row + 1]
            and text_start[row] == text_start[row + 1]
            and not has_tint
        )
        same_levels = row > 0 and has_heat
        if has_levels and same_heat:
            same_levels = same_levels and same_bytes(level_map, row)
        elif has_levels:
            same_levels = same_levels and heat_y[row, 0] == heat_y[row - 1, 0]
        elif same_heat:
            same_levels = same_levels and same_row(heat, row)
        else:
            same_levels = False
        if same_levels and bare and bare_above and not has_image:
            if up:
                blank_row(zeros, row, canvas, top + row, first, width)
            else:
                store_row(lines, current, 0, 3 * width, False, canvas, top + row, first)
                zeros[row] = 0
            continue
        if grey_only and bare and bare_above and up:
            if same_bytes(image, row):
                blank_row(zeros, row, canvas, top + row, first, width)
            else:
                store_grey(image, row, canvas, top + row, first)
                zeros[row] = 0
            stale = True
            continue
        if stale:
            plain_row(image, row - 1, 1, lines, current)
            stale = False
        bare_above = bare
        current = 1 - current
        if has_image and not same_image:
            sample_row(
                image, channels, image_y[row], image_wy[row], image_x, image_wx, image_taps,
                image_ring, image_rows, samples,
            )  # fmt: skip
            round_row(samples, pixels[0])
        if same_levels or (has_levels and same_heat):
            pass
        elif has_levels:
            for x in range(width):
                levels[0, x] = level_map[heat_y[row, 0], heat_x[x, 0]]
        elif same_heat:
            heat_levels(heat[row], low, factor, levels[0])
        elif has_heat:
            sample_row(
                heat, 1, heat_y[row], heat_wy[row], heat_x, heat_wx, heat_taps,
                heat_ring, heat_rows, samples[:width],
            )  # fmt: skip
            heat_levels(samples[:width], low, factor, levels[0])
        image_row, level_row = row if same_image else 0, row if has_levels and same_heat else 0
        if may_have_runs and not same_levels:
            runs = runs_of(levels, level_row, starts)
        if may_have_runs and runs * SHORTEST <= 2 * width:
            blend_runs(
                pixels, image_row, levels, level_row, starts, runs, lookup, steps, lines, current
            )
        elif has_heat:
            blend_row(
                pixels, image_row, image_channels, levels, level_row, lookup, packed, lines, current
            )
        elif has_image:
            plain_row(pixels, image_row, channels, lines, current)
        else:
            lines[current] = 0
        if has_tint:
            if not same_tint and (row == 0 or tint_y[row, 0] != tint_y[row - 1, 0]):
                for x in range(width):
                    inside[0, x] = tint[tint_y[row, 0], tint_x[x, 0]]
            tint_row(inside, row if same_tint else 0, tint_colour, tint_alpha, lines, current)
        for k in range(box_start[row], box_start[row + 1]):
            outline_row(lines, current, width, row, boxes, box_widths, box_colours, box_items[k])
        begin, end = text_start[row], text_start[row + 1]
        if begin < end:
            text_row(lines, current, 0, width, row, text, text_items, begin, end)
        store_row(lines, current, 0, 3 * width, up, canvas, top + row, first)
        zeros[row] = 0


@lru_cache(maxsize=16)
def _lookup(
    image_weight: bytes, heat_colour: bytes, values: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
    """Tables of ``blend.blend_lookup`` and ``runs.exact_steps``: a job has two or three.

    Kept for later panels: the first costs 0.06 ms, the second 1 ms.
    """
    lookup = np.empty(256 * values, np.uint32)
    weights = np.frombuffer(bytearray(image_weight), np.float32)
    colours = np.frombuffer(bytearray(heat_colour), np.float32).reshape(256, 3)
    blend_lookup(weights, colours, values, lookup)
    return lookup, _NO_STEPS if values == 1 else exact_steps(weights, colours, lookup)


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
        _heat_arrays(layers.heat, 256 if len(layers.image.pixels) else 1),
        _tint_arrays(layers.tint),
        _outline_arrays(layers.outlines),
        text_arrays(layers.text),
    )


def _image_arrays(image: Image) -> _ImageArrays:
    rows, columns, channels = image.pixels.shape
    if channels not in (1, 3):
        raise ValueError(f"an image of {channels} channels can't be drawn; use 1 (grey) or 3 (RGB)")
    flat = plain(image.pixels, np.uint8).reshape(rows, columns * channels)
    return flat, channels, image.method


def _heat_arrays(heat: Heat, values: int) -> _HeatArrays:
    """``values`` is the number of an image's grey values: 1 where there is none."""
    has_levels = heat.values.dtype == np.uint8
    return (
        _NO_HEAT if has_levels else plain(heat.values, np.float32),
        plain(heat.values, np.uint8) if has_levels else _NO_LEVELS,
        np.float32(heat.low),
        np.float32(level_factor(heat.low, heat.high)),
        *_lookup(
            plain(heat.image_weight, np.float32).tobytes(),
            plain(heat.heat_colour, np.float32).tobytes(),
            values,
        ),
        heat.method,
    )


def _tint_arrays(tint: Tint) -> _TintArrays:
    return plain(tint.mask, np.uint8), plain(tint.colour, np.uint8), np.float32(tint.alpha)


def _outline_arrays(outlines: Outlines) -> _OutlineArrays:
    if not len(outlines.boxes) == len(outlines.colours) == len(outlines.widths):
        raise ValueError("each box needs a colour and a width")
    return (
        plain(outlines.boxes, np.int32),
        plain(outlines.colours, np.uint8),
        plain(outlines.widths, np.int32),
    )
