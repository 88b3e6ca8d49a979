"""Anti-aliased text from a prepared glyph atlas.

coverage  (rows, cols) uint8, 0 paper .. 255 ink: all glyphs in one picture
glyphs    (n, 4) int32: x, y, width, height of each glyph in the atlas, pixels
marks     (m, 6) int32: glyph, x, y of its top-left pixel on the target, red, green, blue
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._arrays import plain
from fastcam_kernels._jit import kernel

_FAR = 1 << 31


@kernel
def mark_rows(
    glyphs: NDArray[np.int32], marks: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """First row of each mark and the row after its last; an unknown glyph has none."""
    tops = np.zeros(marks.shape[0], np.int32)
    bottoms = np.zeros(marks.shape[0], np.int32)
    for m in range(marks.shape[0]):
        if 0 <= marks[m, 0] < glyphs.shape[0]:
            tops[m] = marks[m, 2]
            bottoms[m] = marks[m, 2] + glyphs[marks[m, 0], 3]
    return tops, bottoms


@kernel
def _changed_area(
    before: NDArray[np.int32], now: NDArray[np.int32], glyphs: NDArray[np.int32]
) -> tuple[int, int, int, int]:
    same = 0
    while same < min(before.shape[0], now.shape[0]):
        different = 0
        for k in range(before.shape[1]):
            different += before[same, k] != now[same, k]
        if different > 0:
            break
        same += 1
    left = top = _FAR
    right = bottom = 0
    for marks in (before, now):
        for m in range(same, marks.shape[0]):
            g = marks[m, 0]
            if 0 <= g < glyphs.shape[0]:
                left, top = min(left, marks[m, 1]), min(top, marks[m, 2])
                right = max(right, marks[m, 1] + glyphs[g, 2])
                bottom = max(bottom, marks[m, 2] + glyphs[g, 3])
    return left, top, right, bottom


def changed_area(
    before: NDArray[np.int32], now: NDArray[np.int32], glyphs: NDArray[np.int32]
) -> tuple[int, int, int, int]:
    """(x1, y1, x2, y2) that holds all pixels in which two lists of marks differ; x2 <= x1 where
    there are none. What both begin with is left out."""
    return _changed_area(plain(before, np.int32), plain(now, np.int32), plain(glyphs, np.int32))


@kernel
def _over(coverage: np.uint32, ink: np.uint32, paper: np.uint32) -> np.uint8:
    mixed = np.uint32(coverage * ink + (np.uint32(255) - coverage) * paper + np.uint32(127))
    # n // 255 for n < 65536 without a division (exact: tested over all values).
    return np.uint8((mixed + np.uint32(1) + (mixed >> np.uint32(8))) >> np.uint32(8))


@kernel
def ink_row(
    lines: NDArray[np.uint8],
    held: int,
    first: int,
    last: int,
    row: int,
    coverage: NDArray[np.uint8],
    glyphs: NDArray[np.int32],
    marks: NDArray[np.int32],
    items: NDArray[np.int32],
    begin: int,
    end: int,
) -> None:
    """Row ``row`` of the marks ``items[begin:end]`` over columns first..last-1 of ``lines[held]``.

    All in one call: one for each mark took as long as the drawing, 0.06 ms for a figure's text.
    """
    pixels = lines[held]
    for k in range(begin, end):
        m = items[k]
        g = marks[m, 0]
        atlas_row = glyphs[g, 1] + row - marks[m, 2]
        if atlas_row < 0 or atlas_row >= coverage.shape[0]:
            continue
        shift = glyphs[g, 0] - marks[m, 1]
        start = max(first, marks[m, 1], -shift)
        stop = min(last, marks[m, 1] + glyphs[g, 2], coverage.shape[1] - shift)
        red, green, blue = np.uint32(marks[m, 3]), np.uint32(marks[m, 4]), np.uint32(marks[m, 5])
        for x in range(start, stop):
            c = np.uint32(coverage[atlas_row, x + shift])
            if c > 0:
                pixels[3 * x] = _over(c, red, np.uint32(pixels[3 * x]))
                pixels[3 * x + 1] = _over(c, green, np.uint32(pixels[3 * x + 1]))
                pixels[3 * x + 2] = _over(c, blue, np.uint32(pixels[3 * x + 2]))


@kernel
def _blit(
    canvas: NDArray[np.uint8],
    coverage: NDArray[np.uint8],
    glyphs: NDArray[np.int32],
    marks: NDArray[np.int32],
    x1: int,
    y1: int,
    x2: int,
    y2: int,
) -> None:
    tops, bottoms = mark_rows(glyphs, marks)
    items = np.arange(marks.shape[0]).astype(np.int32)
    for m in range(marks.shape[0]):
        for row in range(max(y1, tops[m]), min(y2, bottoms[m])):
            ink_row(canvas, row, x1, x2, row, coverage, glyphs, marks, items, m, m + 1)


def blit(
    canvas: NDArray[np.uint8],
    coverage: NDArray[np.uint8],
    glyphs: NDArray[np.int32],
    marks: NDArray[np.int32],
    clip: tuple[int, int, int, int],
) -> None:
    """Draw ``marks`` on ``canvas`` (H, W, 3) uint8 RGB C-contiguous, in order, inside ``clip``.

    ``out = (c * ink + (255 - c) * paper + 127) // 255``. ``clip`` is (x1, y1, x2, y2); what lies
    outside it, the canvas or the atlas is left out, and so is a mark of an unknown glyph.
    """
    height, width, _ = canvas.shape
    x1, y1, x2, y2 = clip
    _blit(
        canvas.reshape(height, 3 * width),
        plain(coverage, np.uint8),
        plain(glyphs, np.int32),
        plain(marks, np.int32),
        max(0, x1),
        max(0, y1),
        min(width, x2),
        min(height, y2),
    )
