"""The patch grid: red lines where patches meet, and numbers that a machine can read."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from fastcam.figures import fonts
from fastcam.spec import Style
from fastcam.views.patchgrid import line_width, numbered, patch_grid

from .passes import apart, made_pass, random_weights

RNG = np.random.default_rng(4)
NOISE = cv2.resize(RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8), (320, 320))
GREY = np.full((64, 64, 1), 90, np.uint8)
SHAPE = (24, 48)


def cell_of(cut: np.ndarray, grid: tuple[int, int]) -> tuple[int, int]:
    rows, columns = grid
    assert (cut.shape[0] % rows, cut.shape[1] % columns) == (0, 0)
    return cut.shape[0] // rows, cut.shape[1] // columns


def slow_lines(shape: tuple[int, int], cell: tuple[int, int], thick: int) -> np.ndarray:
    red = np.zeros(shape, bool)
    for y in range(shape[0]):
        for x in range(shape[1]):
            first = y % cell[0] < thick or x % cell[1] < thick
            red[y, x] = first or y >= shape[0] - thick or x >= shape[1] - thick
    return red


@pytest.mark.parametrize("picture", [GREY, NOISE], ids=["grey", "noise"])
@pytest.mark.parametrize(("grid", "side"), [((14, 14), 512), ((3, 5), 200), ((32, 32), 512)])
def test_lines_are_red_and_nothing_lies_on_them(picture, grid, side: int) -> None:
    cut = numbered(picture, grid, Style(panel_size=side))
    cell = cell_of(cut, grid)
    expected = slow_lines(cut.shape[:2], cell, line_width(cell))
    assert np.array_equal((cut == (255, 0, 0)).all(axis=2), expected)


def test_a_patch_shows_its_part_of_the_picture() -> None:
    """Each patch has one colour: seen in its corners, which no number reaches."""
    small = RNG.integers(1, 200, (4, 6, 3), dtype=np.uint8)
    cut = numbered(small.repeat(50, axis=0).repeat(50, axis=1), (4, 6), Style(panel_size=300))
    high, wide = cell_of(cut, (4, 6))
    for row in range(4):
        for column in range(6):
            for y, x in ((5, 5), (high - 4, wide - 4)):
                found = cut[row * high + y, column * wide + x]
                assert np.array_equal(found, small[row, column])


@cache
def printed(number: int, font: int) -> np.ndarray:
    """A number written by Pillow, cut out and brought to one size."""
    face = ImageFont.truetype(fonts.dejavu(bold=False), font)
    paper = Image.new("L", (100, 50))
    ImageDraw.Draw(paper).text((10, 5), str(number), fill=255, font=face)
    return brought(np.asarray(paper))


def brought(ink: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(ink.max(1) > 127), np.flatnonzero(ink.max(0) > 127)
    part = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    flat = cv2.resize(part, SHAPE[::-1], interpolation=cv2.INTER_AREA).astype(float).ravel()
    flat -= flat.mean()
    return flat / np.linalg.norm(flat)


@pytest.mark.parametrize(("grid", "side"), [((14, 14), 512), ((32, 32), 512), ((5, 7), 300)])
def test_every_number_can_be_read(grid, side: int) -> None:
    """Ink is what is the same on a black and on a white picture, and white; the number is read as
    the one of as many digits that Pillow writes most alike."""
    papers = [np.full((60, 60, 1), level, np.uint8) for level in (60, 200)]
    cuts = [numbered(paper, grid, Style(panel_size=side)) for paper in papers]
    cell = cell_of(cuts[0], grid)
    count, thick = grid[0] * grid[1], line_width(cell)
    ink = np.minimum(*cuts)[..., 1]
    for digits in {len(str(n)) for n in range(count)}:
        among = [n for n in range(count) if len(str(n)) == digits]
        known = np.stack([printed(n, 15) for n in among])
        for number in among:
            y, x = number // grid[1] * cell[0], number % grid[1] * cell[1]
            place = ink[y + thick : y + cell[0] - 1, x + thick : x + cell[1] - 1]
            plain = np.where(place > 60, place, 0).astype(np.uint8)
            assert plain[[0, -1]].max() == plain[:, [0, -1]].max() == 0, "it touches a line"
            assert among[int(np.argmax(known @ brought(plain)))] == number


def test_the_figure() -> None:
    vit = made_pass([random_weights(RNG, 2, 2, 17)], (3, 5), prefix=2)
    pictures = [NOISE, NOISE[::-1, :200].copy()]
    style = Style(panel_size=200)
    sheet, ((panel,),) = apart(patch_grid, vit, pictures=pictures, index=1, style=style)
    assert np.array_equal(panel, numbered(pictures[1], (3, 5), style))
    caption = sheet.rows[0][0].caption
    assert caption == "3 × 5 patches of 4 × 4 pixels, 2 tokens before them"
