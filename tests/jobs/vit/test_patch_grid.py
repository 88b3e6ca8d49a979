"""The patch grid: red lines where patches meet, and numbers that a machine can read."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from fastcam.figures import fonts
from fastcam.figures.numbered_patches import _font, line_width, numbered_picture
from fastcam.jobs.vit.attention_views import patch_grid
from fastcam.options import Style

from .passes import pass_of_layers, random_weights, sheet_and_panels

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
    cut = numbered_picture(picture, grid, Style(panel_size=side))
    cell = cell_of(cut, grid)
    expected = slow_lines(cut.shape[:2], cell, line_width(cell))
    assert np.array_equal((cut == (255, 0, 0)).all(axis=2), expected)


def test_a_patch_shows_its_part_of_the_picture() -> None:
    """Each patch has one colour: seen in its corners, which no number reaches."""
    small = RNG.integers(1, 200, (4, 6, 3), dtype=np.uint8)
    cut = numbered_picture(
        small.repeat(50, axis=0).repeat(50, axis=1), (4, 6), Style(panel_size=300)
    )
    high, wide = cell_of(cut, (4, 6))
    for row in range(4):
        for column in range(6):
            for y, x in ((5, 5), (high - 4, wide - 4)):
                found = cut[row * high + y, column * wide + x]
                assert np.array_equal(found, small[row, column])


@cache
def printed(number: int, font: int) -> np.ndarray:
    """A number as Pillow writes it, cut out."""
    face = ImageFont.truetype(fonts.dejavu(bold=False), font, layout_engine=ImageFont.Layout.BASIC)
    paper = Image.new("L", (100, 50))
    ImageDraw.Draw(paper).text((10, 5), str(number), fill=255, font=face)
    return np.asarray(paper.crop(paper.getbbox()))


@pytest.mark.parametrize(
    ("grid", "side", "step"), [((14, 14), 512, 1), ((32, 32), 512, 67), ((5, 7), 300, 1)]
)
def test_every_number_can_be_read(grid, side: int, step: int) -> None:
    """A number is read as the one of as many digits that looks most alike, as Pillow writes it."""
    paper = np.full((60, 60, 1), 128, np.uint8)
    cut = numbered_picture(paper, grid, Style(panel_size=side))
    cell, count = cell_of(cut, grid), grid[0] * grid[1]
    font = _font(cell, count)
    assert font >= 13
    thick = line_width(cell)
    for number in range(0, count, step):
        y, x = number // grid[1] * cell[0], number % grid[1] * cell[1]
        # The lines of the last patches' ends lie inside these.
        place = cut[y + thick : y + cell[0] - thick, x + thick : x + cell[1] - thick, 1]
        edge = np.concatenate([place[[0, -1]].ravel(), place[:, [0, -1]].ravel()])
        assert (edge == 128).all(), "it touches a line"
        ink = np.where(place > 128, place, 0).astype(np.uint8)
        among = [n for n in range(count) if len(str(n)) == len(str(number))]
        alike = [
            cv2.matchTemplate(ink, printed(n, font), cv2.TM_CCOEFF_NORMED).max() for n in among
        ]
        assert among[int(np.argmax(alike))] == number
        assert max(alike) > 0.9
        around = cv2.dilate((place > 200).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        assert place[around].min() < 10, "no black around"


def test_the_figure() -> None:
    vit = pass_of_layers([random_weights(RNG, 2, 2, 17)], (3, 5), prefix=2)
    pictures = [NOISE, NOISE[::-1, :200].copy()]
    style = Style(panel_size=200)
    sheet, ((panel,),) = sheet_and_panels(patch_grid, vit, pictures=pictures, index=1, style=style)
    assert np.array_equal(panel, numbered_picture(pictures[1], (3, 5), style))  # type: ignore[arg-type]
    caption = sheet.rows[0][0].caption
    assert caption == "3 × 5 patches of 4 × 4 pixels, 2 tokens before them"
