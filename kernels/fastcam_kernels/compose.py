"""THE fused kernel: one panel of a figure, each row finished before the next is begun.

A row of a panel goes through image, heat, tint, boxes, plates and text while it is in the
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
from fastcam_kernels.boxes import fill_span, outline_row, rows_of
from fastcam_kernels.resize import fill_taps, sample_row
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
from fastcam_kernels.text import ink_row, mark_rows

_NO_HEAT = np.zeros((0, 0), np.float32)
_NO_LEVELS = np.zeros((0, 0), np.uint8)
_NO_STEPS = np.zeros((256, 5), np.uint16)


@kernel
def _panel(
    canvas: NDArray[np.uint8],
    filters: NDArray[np.uint8],
    left: int,
    top: int,
    width: int,
    height: int,
    image: NDArray[np.uint8],
    channels: int,
    heat: NDArray[np.float32],
    ready: NDArray[np.uint8],
    low: np.float32,
    factor: np.float32,
    lookup: NDArray[np.uint32],
    steps: NDArray[np.uint16],
    image_method: int,
    heat_method: int,
    tint: NDArray[np.uint8],
    tint_colour: NDArray[np.uint8],
    tint_alpha: np.float32,
    boxes: NDArray[np.int32],
    box_colour: NDArray[np.uint8],
    box_width: NDArray[np.int32],
    plates: NDArray[np.int32],
    plate_colour: NDArray[np.uint8],
    coverage: NDArray[np.uint8],
    glyphs: NDArray[np.int32],
    marks: NDArray[np.int32],
    zeros: NDArray[np.uint8],
) -> None:
    has_image = image.shape[0] > 0
    has_ready = ready.shape[0] > 0
    has_heat = heat.shape[0] > 0 or has_ready
    has_tint = tint.shape[0] > 0
    same_image = has_image and image.shape[0] == height and image.shape[1] == width * channels
    same_heat = has_heat and heat.shape[0] == height and heat.shape[1] == width
    image_channels = channels if has_image else 0

    image_y, image_wy = np.empty((height, 4), np.int32), np.empty((height, 4), np.float32)
    image_x, image_wx = np.empty((width, 4), np.int32), np.empty((width, 4), np.float32)
    heat_y, heat_wy = np.empty((height, 4), np.int32), np.empty((height, 4), np.float32)
    heat_x, heat_wx = np.empty((width, 4), np.int32), np.empty((width, 4), np.float32)
    tint_y, tint_x = np.empty((height, 4), np.int32), np.empty((width, 4), np.int32)
    image_taps = heat_taps = 0
    if has_image and not same_image:
        image_taps = fill_taps(image.shape[0], image_method, image_y, image_wy)
        fill_taps(image.shape[1] // channels, image_method, image_x, image_wx)
    same_ready = has_ready and ready.shape[0] == height and ready.shape[1] == width
    if has_ready and not same_ready:
        fill_taps(ready.shape[0], 0, heat_y, heat_wy)
        fill_taps(ready.shape[1], 0, heat_x, heat_wx)
    elif has_heat and not has_ready and not same_heat:
        heat_taps = fill_taps(heat.shape[0], heat_method, heat_y, heat_wy)
        fill_taps(heat.shape[1], heat_method, heat_x, heat_wx)
    same_tint = has_tint and tint.shape[0] == height and tint.shape[1] == width
    inside = tint if same_tint else np.empty((1, width), np.uint8)
    if has_tint:
        scratch = np.empty((max(width, height), 4), np.float32)
        fill_taps(tint.shape[0], 0, tint_y, scratch)
        fill_taps(tint.shape[1], 0, tint_x, scratch)

    box_start, box_items = rows_of(boxes[:, 1], boxes[:, 3], height)
    plate_start, plate_items = rows_of(plates[:, 1], plates[:, 3], height)
    mark_tops, mark_bottoms = mark_rows(glyphs, marks)
    mark_start, mark_items = rows_of(mark_tops, mark_bottoms, height)

    image_ring, image_held = np.empty((4, width * channels), np.float32), np.full(4, -1, np.int32)
    heat_ring, heat_held = np.empty((4, width), np.float32), np.full(4, -1, np.int32)
    sampled = np.empty(width * channels, np.float32)
    pixels = image if same_image else np.empty((1, width * channels), np.uint8)
    levels = ready if same_ready else np.empty((1, width), np.uint8)
    packed, starts, runs = np.empty(width, np.uint32), np.empty(width + 1, np.int32), 0
    try_runs = has_ready and image_channels == 1
    first = canvas.shape[1] % 3 + 3 * left  # filtered rows begin with a byte of their own
    lines = np.empty((2, 3 * width), np.uint8)
    held = 0  # which of the two lines is the row above
    repeats = False
    just_grey = same_image and image_channels == 1 and not has_heat
    passed = False  # the row above went by without lines
    for row in range(height):
        up = filters[top + row] == 2
        if row + AHEAD < height:
            prefetch_row(canvas, top + row + AHEAD, first, first + 3 * width)
        # Patch heat changes at the edges of boxes only, so most rows have the levels of the row
        # above, and where nothing else is drawn their difference is 0 throughout.
        bare = (
            box_start[row] == box_start[row + 1]
            and plate_start[row] == plate_start[row + 1]
            and mark_start[row] == mark_start[row + 1]
            and not has_tint
        )
        same_levels = row > 0 and has_heat
        if same_ready:
            same_levels = same_levels and same_bytes(ready, row)
        elif has_ready:
            same_levels = same_levels and heat_y[row, 0] == heat_y[row - 1, 0]
        elif same_heat:
            same_levels = same_levels and same_row(heat, row)
        else:
            same_levels = False
        if same_levels and bare and repeats and not has_image:
            if up:
                blank_row(zeros, row, canvas, top + row, first, width)
            else:
                store_row(lines, held, 0, 3 * width, False, canvas, top + row, first)
                zeros[row] = 0
            continue
        if just_grey and bare and repeats and up:
            if same_bytes(image, row):
                blank_row(zeros, row, canvas, top + row, first, width)
            else:
                store_grey(image, row, canvas, top + row, first)
                zeros[row] = 0
            passed = True
            continue
        if passed:
            plain_row(image, row - 1, 1, lines, held)
            passed = False
        repeats = bare
        held = 1 - held
        if has_image and not same_image:
            sample_row(
                image,
                channels,
                image_y[row],
                image_wy[row],
                image_x,
                image_wx,
                image_taps,
                image_ring,
                image_held,
                sampled,
            )
            round_row(sampled, pixels[0])
        if same_levels or same_ready:
            pass
        elif has_ready:
            for x in range(width):
                levels[0, x] = ready[heat_y[row, 0], heat_x[x, 0]]
        elif same_heat:
            heat_levels(heat[row], low, factor, levels[0])
        elif has_heat:
            sample_row(
                heat,
                1,
                heat_y[row],
                heat_wy[row],
                heat_x,
                heat_wx,
                heat_taps,
                heat_ring,
                heat_held,
                sampled[:width],
            )
            heat_levels(sampled[:width], low, factor, levels[0])
        image_row, level_row = row if same_image else 0, row if same_ready else 0
        if try_runs and not same_levels:
            runs = runs_of(levels, level_row, starts)
        if try_runs and runs * SHORTEST <= 2 * width:
            blend_runs(
                pixels, image_row, levels, level_row, starts, runs, lookup, steps, lines, held
            )
        elif has_heat:
            blend_row(
                pixels, image_row, image_channels, levels, level_row, lookup, packed, lines, held
            )
        elif has_image:
            plain_row(pixels, image_row, channels, lines, held)
        else:
            lines[held] = 0
        if has_tint:
            if not same_tint and (row == 0 or tint_y[row, 0] != tint_y[row - 1, 0]):
                for x in range(width):
                    inside[0, x] = tint[tint_y[row, 0], tint_x[x, 0]]
            tint_row(inside, row if same_tint else 0, tint_colour, tint_alpha, lines, held)
        for k in range(box_start[row], box_start[row + 1]):
            b = box_items[k]
            outline_row(lines, held, width, row, boxes, box_width, box_colour, b)
        for k in range(plate_start[row], plate_start[row + 1]):
            p = plate_items[k]
            fill_span(lines, held, plates[p, 0], plates[p, 2], width, plate_colour, p)
        begin, end = mark_start[row], mark_start[row + 1]
        if begin < end:
            ink_row(lines, held, 0, width, row, coverage, glyphs, marks, mark_items, begin, end)
        store_row(lines, held, 0, 3 * width, up, canvas, top + row, first)
        zeros[row] = 0


@lru_cache(maxsize=16)
def _lookup(
    image_weight: bytes, heat_colour: bytes, values: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
    """Tables of ``blend.blend_lookup`` and ``runs.exact_steps``: a job has two or three.

    Made once: the first costs 0.06 ms, the second 1 ms.
    """
    lookup = np.empty(256 * values, np.uint32)
    weights = np.frombuffer(bytearray(image_weight), np.float32)
    colours = np.frombuffer(bytearray(heat_colour), np.float32).reshape(256, 3)
    blend_lookup(weights, colours, values, lookup)
    return lookup, _NO_STEPS if values == 1 else exact_steps(weights, colours, lookup)


def panel(
    canvas: NDArray[np.uint8],
    x: int,
    y: int,
    width: int,
    height: int,
    image: NDArray[np.uint8],
    heat: NDArray[np.float32] | NDArray[np.uint8],
    low: float,
    high: float,
    image_weight: NDArray[np.float32],
    heat_colour: NDArray[np.float32],
    image_method: int,
    heat_method: int,
    tint: NDArray[np.uint8],
    tint_colour: NDArray[np.uint8],
    tint_alpha: float,
    boxes: NDArray[np.int32],
    box_colour: NDArray[np.uint8],
    box_width: NDArray[np.int32],
    plates: NDArray[np.int32],
    plate_colour: NDArray[np.uint8],
    coverage: NDArray[np.uint8],
    glyphs: NDArray[np.int32],
    marks: NDArray[np.int32],
    filters: NDArray[np.uint8] | None = None,
    zeros: NDArray[np.uint8] | None = None,
) -> None:
    """Draw one panel on ``canvas`` (H, W, 3) uint8 RGB, C-contiguous, at (x, y), width x height.

    With ``filters`` (H,) ``canvas`` is the filtered rows (H, 1 + 3 * W) of a PNG file instead, and
    ``zeros`` (height,) uint8 may say which rows of the panel hold nothing but zeros already, from
    the panel that was drawn there before: they aren't written again, and ``zeros`` is brought up
    to date. Half of what a figure's panels write are zeros: 0.1 ms of 0.5.

    image         (h, w, c) uint8, c = 1 (grey) or 3 (RGB); (0, 0, 1) for none: black
    heat          (hh, ww) float32, (0, 0) for none; sampled to the panel, then its level is
                  ``255 * (v - low) / (high - low)`` rounded half up and clipped to 0..255;
                  NaN, and every value when high <= low, is level 0. Or uint8: levels already,
                  sampled nearest whatever heat_method says
    image_weight, heat_colour  (256,) and (256, 3) float32, see ``colormap.blend_tables``
    image_method, heat_method  how to sample when sizes differ, see ``resize``; a resampled
                  image is rounded to uint8 before it is blended
    tint          (th, tw) uint8, nonzero is inside, (0, 0) for none, sampled nearest;
                  ``(1 - tint_alpha) * pixel + tint_alpha * tint_colour`` inside, colour (3,) uint8
    boxes         (n, 4) int32 x1, y1, x2, y2 in panel pixels, with box_colour (n, 3) uint8 and
                  box_width (n,) int32: outlines that lie inside their box, later ones on top
    plates        (m, 4) int32 in panel pixels, filled with plate_colour (m, 3) uint8
    coverage, glyphs, marks  text, see ``text``; positions in panel pixels

    Order: image, heat, tint, boxes, plates, text. Nothing outside the rectangle is written.
    Raises ValueError when the rectangle isn't inside the canvas or arrays don't match.
    """
    lines, filters, columns = as_rows(canvas, filters)
    rows = len(lines)
    if x < 0 or y < 0 or width < 1 or height < 1 or x + width > columns or y + height > rows:
        raise ValueError(
            f"panel {width}x{height} at ({x}, {y}) isn't inside the canvas of {columns}x{rows}"
        )
    image_rows, image_columns, channels = image.shape
    if channels not in (1, 3):
        raise ValueError(f"an image of {channels} channels can't be drawn; use 1 (grey) or 3 (RGB)")
    if not len(boxes) == len(box_colour) == len(box_width) or len(plates) != len(plate_colour):
        raise ValueError("each box needs a colour and a width, each plate a colour")
    ready = heat.dtype == np.uint8
    _panel(
        lines,
        filters,
        x,
        y,
        width,
        height,
        plain(image, np.uint8).reshape(image_rows, image_columns * channels),
        channels,
        _NO_HEAT if ready else plain(heat, np.float32),
        plain(heat, np.uint8) if ready else _NO_LEVELS,
        np.float32(low),
        np.float32(level_factor(low, high)),
        *_lookup(
            plain(image_weight, np.float32).tobytes(),
            plain(heat_colour, np.float32).tobytes(),
            256 if image_rows else 1,
        ),
        image_method,
        heat_method,
        plain(tint, np.uint8),
        plain(tint_colour, np.uint8),
        np.float32(tint_alpha),
        plain(boxes, np.int32),
        plain(box_colour, np.uint8),
        plain(box_width, np.int32),
        plain(plates, np.int32),
        plain(plate_colour, np.uint8),
        plain(coverage, np.uint8),
        plain(glyphs, np.int32),
        plain(marks, np.int32),
        np.zeros(height, np.uint8) if zeros is None else plain(zeros, np.uint8),
    )
