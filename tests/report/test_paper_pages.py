"""Pages of plots on paper: their width, their letters, and that nothing lies over another."""

from __future__ import annotations

import io
import itertools
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fastcam.figures.line_breaks import break_lines
from fastcam.figures.paper_plots import PlotPage, fit_to_paper
from fastcam.options import Style
from fastcam.report.plot_files import page_png, write_plot_page
from fastcam.report.plots import frame, new_page

from .page_samples import PAGES


def boxes(page: Any) -> list[tuple[str, tuple[float, float, float, float]]]:
    """What a reader sees of a page's upright texts, with their left, bottom, right and top."""
    from matplotlib.table import Table
    from matplotlib.text import Text

    page.draw_without_rendering()
    seen = []
    hidden = set()
    for axes in page.axes:
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            for tick in axis.get_major_ticks():
                if not min(limits) - 1e-9 <= tick.get_loc() <= max(limits) + 1e-9:
                    hidden |= {id(tick.label1), id(tick.label2)}
            if not axes.axison:
                hidden |= {id(text) for text in axis.findobj(Text)}
    cells = [
        cell.get_text() for table in page.findobj(Table) for cell in table.get_celld().values()
    ]
    for text in (*page.findobj(Text), *cells):
        if not text.get_text().strip() or not text.get_visible() or id(text) in hidden:
            continue
        if text.get_rotation() % 90 == 0:
            box = text.get_window_extent()
            seen.append((text.get_text(), (box.x0, box.y0, box.x1, box.y1)))
    return seen


def check(page: Any) -> None:
    width, height = page.get_size_inches() * page.dpi
    found = boxes(page)
    assert len(found) > 5
    for text, (left, bottom, right, top) in found:
        assert left > -2, text
        assert bottom > -2, text
        assert right < width + 2, text
        assert top < height + 2, text
    for (one, a), (other, b) in itertools.combinations(found, 2):
        aside = a[2] < b[0] + 3 or b[2] < a[0] + 3
        apart = aside or a[3] < b[1] + 3 or b[3] < a[1] + 3
        assert apart, f"{one!r} lies over {other!r}"


def font_sizes(svg: str) -> list[float]:
    return [float(size) for size in re.findall(r"font(?:-size)?: (?:[a-z0-9]+ )*?([\d.]+)px", svg)]


@pytest.mark.parametrize("name", PAGES)
def test_at_180_mm_every_letter_can_be_read(name: str, tmp_path: Path) -> None:
    plots = PAGES[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_to_paper(plots, Style(width_mm=180))
    check(plots.page)
    plots.page.savefig(tmp_path / "page.svg")
    assert plots.page.get_size_inches()[0] * 25.4 == pytest.approx(180)
    pixels = Image.open(io.BytesIO(page_png(plots.page)))
    assert pixels.width == pytest.approx(180 / 25.4 * 300, abs=1)
    assert pixels.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize(
    "name",
    [
        "four classes",
        "errors",
        "CLS",
        "channels",
        "localization",
        "distances",
        "distances of two",
    ],
)
def test_in_one_column_of_a_journal(name: str, tmp_path: Path) -> None:
    page = PAGES[name]().page
    paths = write_plot_page(tmp_path / "page.png", page, Style(width_mm=85, format="svg"))
    svg = paths[-1].read_text(encoding="utf-8")
    assert float(re.findall(r'<svg[^>]* width="([\d.]+)pt"', svg)[0]) / 72 * 25.4 == pytest.approx(
        85, abs=0.1
    )
    sizes = font_sizes(svg)
    assert len(sizes) > 5
    assert min(sizes) >= 7
    check(page)


def test_a_legend_too_wide_for_the_page_has_fewer_columns() -> None:
    """The same entries with their colors, below each other; where there is room they stay."""
    wide, narrow = PAGES["distances"](), PAGES["distances"]()
    fit_to_paper(wide, Style(width_mm=180))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_to_paper(narrow, Style(width_mm=85))
    places = []
    for plots in (wide, narrow):
        (legend,) = plots.page.legends
        texts = legend.get_texts()
        assert [t.get_text() for t in texts] == [
            "a head, colored by its number",
            "mean of the layer",
        ]
        assert legend.legend_handles[1].get_color() == plots.page.axes[0].lines[0].get_color()
        places.append([text.get_window_extent().y0 for text in texts])
    assert places[0][0] == pytest.approx(places[0][1], abs=1)
    assert places[1][0] > places[1][1] + 10


def test_a_page_too_narrow_for_its_letters_is_wider_and_says_so() -> None:
    plots = PAGES["twelve classes"]()
    with pytest.warns(UserWarning, match="--width-mm 60: a page of plots is"):
        fit_to_paper(plots, Style(width_mm=60))
    assert plots.page.get_size_inches()[0] * 25.4 > 60
    check(plots.page)


def test_larger_letters() -> None:
    from matplotlib.text import Text

    page = PAGES["errors"]().page
    sizes = {text.get_text(): text.get_fontsize() for text in page.findobj(Text)}
    width = page.get_size_inches()[0]
    fit_to_paper(PlotPage(page), Style(font_scale=1.5))
    check(page)
    # It grows with its letters where they have no room else.
    assert page.get_size_inches()[0] >= width
    larger = {text.get_text(): text.get_fontsize() for text in page.findobj(Text)}
    for text in ("identity", "images"):
        assert larger[text] == pytest.approx(1.5 * sizes[text])


def test_pages_stay_as_they_were_made_where_nothing_is_asked_for() -> None:
    before, plots = PAGES["two classes"](), PAGES["two classes"]()
    fit_to_paper(plots, Style())
    assert np.array_equal(_pixels(page_png(plots.page)), _pixels(page_png(before.page)))


def test_a_second_time_changes_nothing() -> None:
    plots = PAGES["CLS"]()
    fit_to_paper(plots, Style(width_mm=180))
    first = plots.page.get_size_inches().tolist()
    fit_to_paper(plots, Style(width_mm=90))
    assert plots.page.get_size_inches().tolist() == first


def _pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_plots_without_a_grid_and_without_texts() -> None:
    page = new_page(6, 3)
    frame(page.add_axes((0.1, 0.1, 0.8, 0.8)), "attention by layer")
    fit_to_paper(PlotPage(page), Style(width_mm=100))
    assert page.get_size_inches()[0] * 25.4 == pytest.approx(100)
    empty = new_page(6, 3)
    fit_to_paper(PlotPage(empty), Style(width_mm=100))


@pytest.mark.parametrize(
    ("text", "room", "expected"),
    [
        ("short", 10, "short"),
        ("n = 5   accuracy 0.9   F1 0.8", 22, "n = 5   accuracy 0.9\nF1 0.8"),
        ("three words here", 11, "three words\nhere"),
        ("first line\nanother longer line", 14, "first line\nanother longer\nline"),
        ("unbreakable", 4, "unbreakable"),
        ("", 4, ""),
    ],
)
def test_lines(text: str, room: int, expected: str) -> None:
    assert break_lines(text, room, len) == expected
