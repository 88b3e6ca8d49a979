"""The figure of an image cut into patches, each with its number."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from fastcam_kernels import panel_kernel, panel_layers, resize
from numpy.typing import NDArray

from fastcam.figures import fonts, glyph_atlas
from fastcam.figures.figure_parts import Panel
from fastcam.figures.notebook_figure import Figure
from fastcam.figures.view_panels import figure_of_rows, panel_size, shrunk, titled
from fastcam.options import Style

LINE_COLOR = (255, 0, 0)
_NUMBER_COLOR = (255, 255, 255)
# Digits of fewer pixels can't be told apart on a busy picture.
_LEAST_FONT, _LARGEST_FONT = 13, 22
_NEIGHBOURS = tuple((x, y) for y in (-1, 0, 1) for x in (-1, 0, 1) if (x, y) != (0, 0))
# Pixels of a patch from which its lines have two.
_THICK_FROM = 34
# From the top of a line of text to the middle of its digits, in ascents.
_DIGIT_MIDDLE = 0.61


def grid_figure(
    picture: NDArray[np.uint8],
    grid: tuple[int, int],
    patch: tuple[int, int],
    prefix: int,
    title: str = "",
    style: Style | None = None,
) -> Figure:
    """A ``picture`` (h, w, 1 or 3) uint8 cut into a ``grid`` of (rows, columns) patches.

    ``patch`` is the (height, width) of each in pixels, ``prefix`` the number of tokens before
    those of the patches.
    """
    style = style or Style()
    pixels = numbered_picture(picture, grid, style)
    height, width, _ = pixels.shape
    before = f"{prefix} {'token' if prefix == 1 else 'tokens'} before them"
    caption = f"{grid[0]} × {grid[1]} patches of {patch[0]} × {patch[1]} pixels, {before}"
    panel = Panel(caption, height, width, image=pixels)
    return figure_of_rows(titled(title, "patches"), "", [[panel]], style)


def numbered_picture(
    picture: NDArray[np.uint8], grid: tuple[int, int], style: Style
) -> NDArray[np.uint8]:
    """``picture`` (h, w, 1 or 3) enlarged to whole pixels a patch, with lines and numbers:
    (rows * m, columns * n, 3) uint8. The line of an edge begins at its first pixel; the last ones
    lie inside the picture."""
    rows, columns = grid
    cell = _cell(picture, grid, style.panel_size)
    height, width = rows * cell[0], columns * cell[1]
    letters = _letters(_font(cell, rows * columns))
    target = np.empty((height, width, 3), np.uint8)
    boxes = _lines(grid, cell)
    colors = np.full((len(boxes), 3), LINE_COLOR, np.uint8)
    # Outlines as wide as they are high: filled.
    widths = np.full(len(boxes), max(height, width), np.int32)
    panel_kernel.panel(
        target,
        (0, 0, width, height),
        panel_layers.Layers(
            panel_layers.Image(shrunk(picture, height, width), resize.BILINEAR),
            outlines=panel_layers.Outlines(boxes, colors, widths),
            text=panel_layers.NO_TEXT._replace(
                coverage=letters.coverage,
                atlas=letters.boxes,
                glyphs=_numbers(grid, cell, letters.label),
            ),
        ),
    )
    return target


def line_width(cell: tuple[int, int]) -> int:
    """Pixels of a line between patches of ``cell`` (height, width) pixels."""
    return 2 if min(cell) >= _THICK_FROM else 1


def _cell(picture: NDArray[np.uint8], grid: tuple[int, int], side: int) -> tuple[int, int]:
    """Pixels (height, width) of a patch: whole numbers near the panel's, with room for numbers."""
    sides = [length / n for length, n in zip(panel_size(picture, side), grid, strict=True)]
    wide, high = _room(_LEAST_FONT, grid[0] * grid[1])
    grow = max(1.0, high / sides[0], wide / sides[1])
    return max(high, round(sides[0] * grow)), max(wide, round(sides[1] * grow))


def _font(cell: tuple[int, int], count: int) -> int:
    """The largest font whose numbers fit."""
    size = _LEAST_FONT
    while size < _LARGEST_FONT:
        wide, high = _room(size + 1, count)
        if high > cell[0] or wide > cell[1]:
            break
        size += 1
    return size


def _room(size: int, count: int) -> tuple[int, int]:
    """Pixels (width, height) that the widest number needs, with the line and some air."""
    font = _letters(size).label
    digits = len(str(count - 1))
    return font.width("0" * digits) + 10, font.ascent + 6


@lru_cache(maxsize=16)
def _letters(size: int) -> glyph_atlas.Lettering:
    return glyph_atlas.prepare("", (fonts.dejavu(bold=False),), size / 15)


def _lines(grid: tuple[int, int], cell: tuple[int, int]) -> NDArray[np.int32]:
    height, width = grid[0] * cell[0], grid[1] * cell[1]
    thick = line_width(cell)
    ys = [min(row * cell[0], height - thick) for row in range(grid[0] + 1)]
    xs = [min(column * cell[1], width - thick) for column in range(grid[1] + 1)]
    across = [(0, y, width, y + thick) for y in ys]
    down = [(x, 0, x + thick, height) for x in xs]
    return np.array(across + down, np.int32)


def _numbers(
    grid: tuple[int, int], cell: tuple[int, int], font: glyph_atlas.BitmapFont
) -> NDArray[np.int32]:
    """Glyphs of all numbers, each in the middle of its patch: black all around, then white."""
    thick = line_width(cell)
    top = round((cell[0] + thick) / 2 - font.ascent * _DIGIT_MIDDLE)
    numbers = []
    for number in range(grid[0] * grid[1]):
        row, column = divmod(number, grid[1])
        left = (cell[1] + thick - font.width(str(number))) // 2
        numbers.append(
            font.glyphs_of(str(number), column * cell[1] + left, row * cell[0] + top, _NUMBER_COLOR)
        )
    white = np.concatenate(numbers)
    halo = np.repeat(white[np.newaxis], len(_NEIGHBOURS), axis=0)
    halo[:, :, 1:3] += np.array(_NEIGHBOURS, np.int32)[:, np.newaxis]
    halo[:, :, 3:] = 0
    return np.concatenate([halo.reshape(-1, 6), white])


def patched_part(
    picture: NDArray[np.uint8], size: tuple[int, int], grid: tuple[int, int], patch: tuple[int, int]
) -> NDArray[np.uint8]:
    """The part on which a ``grid`` of (rows, columns) patches of ``patch`` (height, width) pixels
    lies, of a picture (h, w, c) that a model sees in ``size`` (height, width)."""
    sides = []
    for axis in range(2):
        part = min(grid[axis] * patch[axis], size[axis])
        sides.append(max(1, round(picture.shape[axis] * part / size[axis])))
    return np.ascontiguousarray(picture[: sides[0], : sides[1]])
