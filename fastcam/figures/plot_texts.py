"""Texts in and around the plots of a page: their size, their lines, and where they stand."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from fastcam.figures.line_breaks import break_lines
from fastcam.figures.paper import LEAST_POINTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Page
    from matplotlib.text import Text

# Inches between names below a plot.
NAMES_APART = 0.08
_ROTATED, _TURNED = 40.0, "turned"


def scale_letters(page: Page, factor: float) -> None:
    """Make all letters ``factor`` times as large, of 7 points at least."""
    from matplotlib.text import Text

    ticks: set[int] = set()
    for axes in all_axes(page):
        of_axes: Any = axes
        for axis, name in ((axes.xaxis, "x"), (axes.yaxis, "y")):
            labels = axis.get_ticklabels(which="both")
            ticks.update(map(id, labels))
            ticks.update(id(tick.label2) for tick in axis.get_major_ticks())
            if labels:
                of_axes.tick_params(name, labelsize=_points(labels[0], factor))
    for text in itertools.chain(page.findobj(Text), table_texts(page)):
        if id(text) not in ticks:
            text.set_fontsize(_points(text, factor))


def _points(text: Text, factor: float) -> float:
    return max(LEAST_POINTS, float(text.get_fontsize()) * factor)


def table_texts(page: Page) -> Iterator[Text]:
    """Those of tables, which matplotlib doesn't list among a page's texts."""
    for axes in page.axes:
        for table in axes.tables:
            yield from (cell.get_text() for cell in table.get_celld().values())


def all_axes(page: Page) -> Iterator[Axes]:
    """Those of plots, and of the bars of colors beside them."""
    for axes in page.axes:
        yield axes
        children: Any = axes.child_axes
        yield from children


class Titles:
    """Texts around plots, as they were written: they are broken into lines again and again."""

    def __init__(self, page: Page) -> None:
        self._texts: list[tuple[Axes, Text, str, str]] = []
        for axes in page.axes:
            around: Any = axes
            for text, side in (
                (around._left_title, "title"),
                (around.title, "title"),
                (axes.xaxis.label, "x"),
                (axes.yaxis.label, "y"),
            ):
                if text.get_text():
                    self._texts.append((axes, text, text.get_text(), side))

    def write_whole(self) -> None:
        """Write all as they were written first."""
        for _, text, whole, _ in self._texts:
            text.set_text(whole)

    def break_up(self, page: Page, edges: dict[Axes, float]) -> None:
        """Break what is longer than its plot; ``edges``: inches at which their places end."""
        page_width, page_height = page.get_size_inches()
        for axes, text, whole, side in self._texts:
            box = axes.get_position()
            if side == "title":
                room = edges[axes] - box.x0 * page_width
            elif side == "x":
                room = box.width * page_width + 0.5
            else:
                room = box.height * page_height + 0.3
            text.set_text(break_lines(whole, room * page.dpi, line_length(text)))


def line_length(text: Text) -> Callable[[str], float]:
    """How many pixels long a line in the letters of ``text`` is."""
    canvas: Any = text.get_figure(root=True)
    renderer = canvas.canvas.get_renderer()
    font = text.get_fontproperties()

    def length(line: str) -> float:
        return float(renderer.get_text_width_height_descent(line, font, ismath=False)[0])

    return length


def tick_texts(page: Page) -> Iterator[Text]:
    """The names and numbers at axes that are drawn: their ticks lie within the limits."""
    for axes in all_axes(page):
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            low, high = sorted(limits)
            if not axes.axison or not axis.get_visible():
                continue
            room = (high - low) * 1e-6
            for tick in axis.get_major_ticks():
                at = tick.get_loc()
                if tick.label1.get_visible() and low - room <= at <= high + room:
                    yield tick.label1


def turn_names(page: Page) -> bool:
    """Turn names below plots that lie over each other; whether any were."""
    turned = False
    for axes in all_axes(page):
        labels = [text for text in axes.get_xticklabels() if text.get_text()]
        boxes = [text.get_window_extent() for text in labels]
        gap = NAMES_APART * page.dpi
        close = any(a.x1 + gap > b.x0 for a, b in itertools.pairwise(boxes))
        # Names of two lines can't be told apart when they are turned.
        whole = not any(text.get_rotation() or "\n" in text.get_text() for text in labels)
        if close and whole:
            for text in labels:
                text.set(rotation=_ROTATED, ha="right", rotation_mode="anchor", gid=_TURNED)
            turned = True
    return turned


def straighten_names(page: Page) -> None:
    """Undo :func:`turn_names`."""
    for axes in all_axes(page):
        for text in axes.get_xticklabels():
            if text.get_gid() == _TURNED:
                text.set(rotation=0.0, ha="center", rotation_mode="default", gid=None)


def keep_legend_inside(axes: Axes) -> None:
    """Move a legend that stands beside a plot's title into the plot."""
    legend = axes.get_legend()
    if legend is None or legend.get_window_extent().y0 < axes.bbox.y1 - 2:
        return
    texts = legend.get_texts()
    axes.legend(
        handles=legend.legend_handles,
        labels=[text.get_text() for text in texts],
        loc="best",
        prop=texts[0].get_fontproperties(),
        labelcolor=texts[0].get_color(),
        facecolor=axes.get_facecolor(),
        edgecolor="none",
        framealpha=0.8,
    )
