"""Pages of matplotlib as figures."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastcam.spec import Style
from fastcam.views.plotting import drawn, frame, ink_of, lettered, map_of, new_page, write_title


def test_pixels_are_the_page(tmp_path: Path) -> None:
    page = new_page(2, 1, Style())
    axes = page.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    # Red at the top left, blue at the bottom right, nothing elsewhere.
    axes.imshow([[[255, 0, 0], [255, 255, 255]], [[255, 255, 255], [0, 0, 255]]], aspect="auto")
    figure = drawn(page)
    assert figure.pixels.shape == (150, 300, 3)
    assert figure.pixels.dtype == np.uint8
    assert figure.pixels.flags.c_contiguous
    assert figure.pixels[10, 10].tolist() == [255, 0, 0]
    assert figure.pixels[-10, -10].tolist() == [0, 0, 255]
    figure.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as saved:
        assert np.array_equal(np.asarray(saved), figure.pixels)


def test_the_theme_is_that_of_the_other_figures() -> None:
    page = new_page(1, 1, Style(theme="dark"))
    assert drawn(page).pixels[0, 0].tolist() == [20, 21, 24]
    assert ink_of(Style()).paper == "#ffffff"


def test_no_global_figures() -> None:
    import matplotlib.pyplot as plt

    drawn(new_page(1, 1, Style()))
    assert plt.get_fignums() == []


def test_titles_are_no_formulas_and_have_all_letters() -> None:
    page = new_page(4, 2, Style())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_title(page, "case_$1$ · é \U000f0000", "a note with $", Style())
        frame(page.add_subplot(), "$x_1$", Style())
        drawn(page)


def test_letters_that_no_font_has_are_boxes() -> None:
    text, font = lettered("a\U000f0000 b", Style())
    assert text == "a□ b"
    assert font.get_file().endswith("DejaVuSans.ttf")


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.1, 0.9)])
def test_part_of_a_colour_table(low: float, high: float) -> None:
    from matplotlib import colormaps

    part = map_of("viridis", low, high)
    assert part(0.0) == pytest.approx(colormaps["viridis"](low))
    assert part(1.0) == pytest.approx(colormaps["viridis"](high))
