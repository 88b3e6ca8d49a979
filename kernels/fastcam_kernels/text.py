"""Anti-aliased text from a prepared glyph atlas, and the filled boxes behind it.

The arrays are those of ``panel_layers.Text``, which the kernels take as a plain tuple: Numba
resolves the type of a named one three times as slowly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._arrays import plain
from fastcam_kernels._jit import borrowing_kernel, kernel
from fastcam_kernels.boxes import fill_span, rows_of
from fastcam_kernels.panel_layers import Text

TextArrays = tuple[
    NDArray[np.int32], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int32], NDArray[np.int32]
]

_FAR = 1 << 31


def text_arrays(text: Text) -> TextArrays:
    """``text`` in the one form that the kernels are compiled for.

    Raises ValueError when the boxes have not as many colors.
    """
    if len(text.boxes) != len(text.box_colors):
        raise ValueError("each label background needs a color")
    return (
        plain(text.boxes, np.int32),
        plain(text.box_colors, np.uint8),
        plain(text.coverage, np.uint8),
        plain(text.atlas, np.int32),
        plain(text.glyphs, np.int32),
    )


@kernel
def text_rows(text: TextArrays, height: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Which items touch each row, as ``boxes.rows_of`` says it: first all boxes, then all glyphs.

    A glyph that isn't in the atlas touches none.
    """
    boxes, _, _, atlas, glyphs = text
    count = boxes.shape[0]
    tops = np.zeros(count + glyphs.shape[0], np.int32)
    bottoms = np.zeros(count + glyphs.shape[0], np.int32)
    for b in range(count):
        tops[b], bottoms[b] = boxes[b, 1], boxes[b, 3]
    for k in range(glyphs.shape[0]):
        if 0 <= glyphs[k, 0] < atlas.shape[0]:
            tops[count + k] = glyphs[k, 2]
            bottoms[count + k] = glyphs[k, 2] + atlas[glyphs[k, 0], 3]
    return rows_of(tops, bottoms, height)


@borrowing_kernel
def _changed_area(
    before: NDArray[np.int32], after: NDArray[np.int32], atlas: NDArray[np.int32]
) -> tuple[int, int, int, int]:
    same = 0
    while same < min(before.shape[0], after.shape[0]):
        different = 0
        for k in range(before.shape[1]):
            different += before[same, k] != after[same, k]
        if different > 0:
            break
        same += 1
    left = top = _FAR
    right = bottom = 0
    for glyphs in (before, after):
        for k in range(same, glyphs.shape[0]):
            g = glyphs[k, 0]
            if 0 <= g < atlas.shape[0]:
                left, top = min(left, glyphs[k, 1]), min(top, glyphs[k, 2])
                right = max(right, glyphs[k, 1] + atlas[g, 2])
                bottom = max(bottom, glyphs[k, 2] + atlas[g, 3])
    return left, top, right, bottom


def changed_area(
    before: NDArray[np.int32], after: NDArray[np.int32], atlas: NDArray[np.int32]
) -> tuple[int, int, int, int]:
    """(x1, y1, x2, y2) that holds all pixels in which two lists of glyphs differ; x2 <= x1 where
    there are none. What both begin with is left out."""
    return _changed_area(plain(before, np.int32), plain(after, np.int32), plain(atlas, np.int32))


@borrowing_kernel
def _over(coverage: np.uint32, color: np.uint32, background: np.uint32) -> np.uint8:
    mixed = np.uint32(coverage * color + (np.uint32(255) - coverage) * background + np.uint32(127))
    # n // 255 for n < 65536 without a division (exact: tested over all values).
    return np.uint8((mixed + np.uint32(1) + (mixed >> np.uint32(8))) >> np.uint32(8))


@borrowing_kernel
def text_row(
    lines: NDArray[np.uint8],
    current: int,
    first: int,
    last: int,
    row: int,
    text: TextArrays,
    items: NDArray[np.int32],
    begin: int,
    end: int,
) -> None:
    """Row ``row`` of ``items[begin:end]`` over columns first..last-1 of ``lines[current]``.

    A glyph's color goes over what is there: ``(c * color + (255 - c) * pixel + 127) // 255``.
    All in one call: one for each glyph took as long as the drawing, 0.06 ms for a figure's text.
    """
    boxes, box_colors, coverage, atlas, glyphs = text
    pixels = lines[current]
    for k in range(begin, end):
        b = items[k]
        if b < boxes.shape[0]:
            fill_span(lines, current, max(first, boxes[b, 0]), boxes[b, 2], last, box_colors, b)
            continue
        i = b - boxes.shape[0]
        g = glyphs[i, 0]
        atlas_row = atlas[g, 1] + row - glyphs[i, 2]
        if atlas_row < 0 or atlas_row >= coverage.shape[0]:
            continue
        shift = atlas[g, 0] - glyphs[i, 1]
        start = max(first, glyphs[i, 1], -shift)
        stop = min(last, glyphs[i, 1] + atlas[g, 2], coverage.shape[1] - shift)
        red, green, blue = np.uint32(glyphs[i, 3]), np.uint32(glyphs[i, 4]), np.uint32(glyphs[i, 5])
        for x in range(start, stop):
            c = np.uint32(coverage[atlas_row, x + shift])
            if c > 0:
                pixels[3 * x] = _over(c, red, np.uint32(pixels[3 * x]))
                pixels[3 * x + 1] = _over(c, green, np.uint32(pixels[3 * x + 1]))
                pixels[3 * x + 2] = _over(c, blue, np.uint32(pixels[3 * x + 2]))
