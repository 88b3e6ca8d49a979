"""Pages of plots on paper: letters that can be read, and plots below each other where it is narrow.

A page of three plots side by side is 300 to 500 mm wide. On a narrower one its letters become
smaller, down to 7 points, its titles are broken into lines, and as many plots stand beside each
other as leave every text its room.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from fastcam.figures.layout import row_ranges
from fastcam.figures.paper import LEAST_POINTS, MM_PER_INCH
from fastcam.figures.plot_header import Header
from fastcam.figures.plot_room import has_room
from fastcam.figures.plot_texts import (
    Titles,
    keep_legend_inside,
    scale_letters,
    straighten_names,
    turn_names,
)
from fastcam.options import USUAL_DPI, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Page

# Letters on a narrow page to those of a page as it was made: titles of plots 9, numbers 7 points.
_LETTERS = 0.8
# Inches: the narrowest place of a plot, and what is kept free around a plot.
_NARROWEST, _PAD = 2.3, 0.08
# Places become lower with the page, but not as much as they become narrower; those of plots whose
# height follows from their width, as of images, nearly as much.
_LOWEST, _LOWEST_OF_IMAGES = 0.8, 0.45
# Places may be so much taller once more, and twice, than they were made.
_TALLER = (1.35, 1.8)
# The label of a page that was laid out.
_FITTED = "on paper"


class PlacedLabels(Protocol):
    """Texts in plots, whose places depend on where the plots are."""

    def clear(self) -> None:
        """Remove them."""

    def place(self) -> None:
        """Put them where they have room, of plots that stay where they are."""


@dataclass(frozen=True, eq=False)
class PlotPage:
    """A page of plots by matplotlib.

    Attributes:
        page: its figure.
        labels: texts that are placed last; None for none.
        rows_apart: whether a row's plots belong together, and another row begins below them.
    """

    page: Page
    labels: PlacedLabels | None = None
    rows_apart: bool = False


@dataclass(frozen=True)
class _Place:
    """A plot, and where the page was made to have it: columns and inches."""

    axes: Axes
    row: int
    span: int
    width: float
    height: float

    def span_of(self, beside: int, columns: int, width: float) -> int:
        """Its columns of ``beside`` on a page of ``width``. A table is not narrowed much."""
        if beside == columns:
            return self.span
        span = self.span
        if self.axes.tables:
            span = math.ceil(_LETTERS * self.width * beside / width)
        return min(span, beside)


def fit_to_paper(plots: PlotPage, style: Style) -> None:
    """Lay the page out anew for the style's width on paper and size of letters.

    It has that width then, 300 pixels an inch, and is as tall as it needs to be. Where no such
    page could hold its letters it is as narrow as it can be, and a warning says so. A page for
    which the style says nothing stays as it was made, and one that was laid out before as it is.
    """
    page = plots.page
    natural, _ = page.get_size_inches()
    width = style.paper_width
    if page.get_label() == _FITTED:
        return
    if width is None and style.font_scale == 1.0:
        if plots.labels is not None:
            plots.labels.clear()
            plots.labels.place()
        return
    inches = natural if width is None else width / MM_PER_INCH
    page.set_label(_FITTED)
    if width is not None:
        page.set_dpi(USUAL_DPI)
    if plots.labels is not None:
        plots.labels.clear()
    with warnings.catch_warnings():
        # That a plot has no room is seen, and mended, below.
        warnings.filterwarnings("ignore", message=".*constrained_layout not applied.*")
        warnings.filterwarnings("ignore", message=".*decorations.*")
        fitted = _fit(plots, inches, style.font_scale * (_LETTERS if inches < natural else 1.0))
    if width is not None and fitted > inches:
        warnings.warn(
            f"--width-mm {width:g}: a page of plots is {fitted * MM_PER_INCH:.0f} "
            f"mm wide, the least that has room for its letters of {LEAST_POINTS:g} points",
            stacklevel=2,
        )
    if plots.labels is not None:
        plots.labels.place()


def _fit(plots: PlotPage, width: float, letters: float) -> float:
    """Lay the page out on ``width`` inches, or the least above it; the width that it took."""
    page = plots.page
    natural, height = page.get_size_inches()
    places, columns = _places(page)
    if not places:
        page.set_size_inches(width, height)
        return width
    scale_letters(page, letters)
    head = Header(page)
    titles = Titles(page)
    while True:
        most = int(max(1, min(columns, width // _NARROWEST)))
        most = len(row_ranges(columns, most)[0])
        for beside, taller in [
            *((count, 1.0) for count in range(most, 0, -1)),
            *((1, taller) for taller in _TALLER),
        ]:
            lower = width / natural * columns / beside, taller
            _arrange(plots, places, columns, (width, beside, lower), head, titles)
            if has_room(page):
                return width
        if width > natural:
            return width
        # No letters of 7 points have room: the narrowest page that has.
        width *= 1.2


def _places(page: Page) -> tuple[list[_Place], int]:
    """The plots in reading order, and how many the page was made to have beside each other."""
    width, height = page.get_size_inches()
    _draw(page)
    places: list[_Place] = []
    columns = 1
    for axes in list(page.axes):
        if not (axes.axison or axes.has_data() or axes.texts or axes.tables):
            axes.remove()
            continue
        spec = axes.get_subplotspec()
        box = axes.get_tightbbox()
        wide = axes.get_position().width * width
        high = box.height / page.dpi if box is not None else axes.get_position().height * height
        row, span = len(places), 1
        if spec is not None:
            columns = max(columns, spec.get_gridspec().ncols)
            row, span = spec.rowspan.start, len(spec.colspan)
        places.append(_Place(axes, row, span, wide, high))
    return places, columns


def _arrange(
    plots: PlotPage,
    places: Sequence[_Place],
    columns: int,
    size: tuple[float, int, tuple[float, float]],
    head: Header,
    titles: Titles,
) -> None:
    """Put ``beside`` plots beside each other on a page of ``width``, lower than they were."""
    from matplotlib.gridspec import GridSpec
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    page, (width, beside, lower) = plots.page, size
    spans = [place.span_of(beside, columns, width) for place in places]
    rows = _rows(places, spans, beside, plots.rows_apart or beside == columns)
    heights = [max(_height(place, *lower) for place, _, _ in row) for row in rows]
    page.set_size_inches(width, sum(heights))
    above = head.place()
    height = sum(heights) + above
    page.set_size_inches(width, height)
    page.set_layout_engine(
        ConstrainedLayoutEngine(w_pad=_PAD, h_pad=_PAD, rect=(0, 0, 1, 1 - above / height))
    )
    head.settle()
    for axes in page.axes:
        keep_legend_inside(axes)
    grid = GridSpec(len(rows), beside, page, height_ratios=heights)
    edges = {}
    for number, row in enumerate(rows):
        for place, start, span in row:
            place.axes.set_subplotspec(grid[number, start : start + span])
            edges[place.axes] = width * (start + span) / beside - _PAD
    titles.write_whole()
    straighten_names(page)
    # Titles in one line would push plots aside: break them by the places first, then by the plots.
    _draw(page)
    titles.break_up(page, edges)
    _draw(page)
    titles.break_up(page, edges)
    _draw(page)
    if turn_names(page):
        _draw(page)


def _rows(
    places: Sequence[_Place], spans: Sequence[int], beside: int, apart: bool
) -> list[list[tuple[_Place, int, int]]]:
    """The plots of each row, with the first column and the number of columns of each; ``apart``:
    a new row begins where the page was made to have one."""
    rows: list[list[tuple[_Place, int, int]]] = []
    column = beside
    last = -1
    for place, span in zip(places, spans, strict=True):
        if column + span > beside or (apart and place.row != last):
            rows.append([])
            column = 0
        rows[-1].append((place, column, span))
        column += span
        last = place.row
    return rows


def _height(place: _Place, narrower: float, taller: float) -> float:
    """Inches that a place has where the plot is so much narrower than it was made."""
    least = _LOWEST if place.axes.get_aspect() == "auto" else _LOWEST_OF_IMAGES
    return place.height * float(np.clip(narrower, least, 1.0)) * taller


def _draw(page: Page) -> None:
    """Lay the page out and measure its texts."""
    page.draw_without_rendering()
