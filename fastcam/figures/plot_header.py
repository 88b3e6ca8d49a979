"""Texts of a page of plots itself, which stand above its plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastcam.figures.line_breaks import break_lines
from fastcam.figures.plot_texts import line_length

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Page
    from matplotlib.legend import Legend
    from matplotlib.text import Text


# Inches above the lines, between them, and at their sides.
_ABOVE, _BETWEEN, _ASIDE = 0.12, 0.05, 0.1
# Of a page's height: texts whose tops differ by less were written into one line.
_SAME_LINE = 0.012


class Header:
    """Texts of the page itself, which stand above its plots, and its legend."""

    def __init__(self, page: Page) -> None:
        self._page = page
        texts = sorted(page.texts, key=lambda text: -text.get_position()[1])
        for text in texts:
            # Placed here, not by the layout.
            text.set_in_layout(False)
        self._lines: list[list[tuple[Text, str]]] = []
        last = 2.0
        for text in texts:
            at = float(text.get_position()[1])
            if not self._lines or last - at > _SAME_LINE:
                self._lines.append([])
            self._lines[-1].append((text, text.get_text()))
            last = at
        for line in self._lines:
            line.sort(key=lambda entry: entry[0].get_position()[0])

    def place(self) -> float:
        """Write the lines below each other; the inches they take."""
        width, _ = self._page.get_size_inches()
        top = _ABOVE
        self._placed: list[tuple[Text, float, float]] = []
        for line in self._lines:
            room = (width - 2 * _ASIDE) * self._page.dpi
            sizes = []
            for text, whole in line:
                text.set_text(break_lines(whole, room, line_length(text)))
                sizes.append(self._size(text))
            together = sum(wide for wide, _ in sizes) < width - 4 * _ASIDE
            for (text, _), (_, high) in zip(line, sizes, strict=True):
                at_right = together and text is not line[0][0]
                text.set(ha="right" if at_right else "left", va="top")
                aside = _ASIDE / width
                self._placed.append((text, 1 - aside if at_right else aside, top))
                if not together:
                    top += high + _BETWEEN
            if together:
                top += max(high for _, high in sizes) + _BETWEEN
        self._legend_top = top
        for legend in list(self._page.legends):
            _narrow(self._page, legend, width - 2 * _ASIDE)
        for legend in self._page.legends:
            legend.set_in_layout(False)
            legend.set_loc("upper left")
            top += float(legend.get_window_extent().height / self._page.dpi)
        return top

    def settle(self) -> None:
        """Put all to where :meth:`place` found room, once the page has its height."""
        width, height = self._page.get_size_inches()
        for text, x, top in self._placed:
            text.set_position((x, 1 - top / height))
        for legend in self._page.legends:
            legend.set_bbox_to_anchor((_ASIDE / width, 1 - self._legend_top / height))

    def _size(self, text: Text) -> tuple[float, float]:
        box = text.get_window_extent()
        return box.width / self._page.dpi, box.height / self._page.dpi


def _narrow(page: Page, legend: Legend, width: float) -> None:
    """Put another legend in the place of one that is wider than ``width`` inches, with as many of
    its entries beside each other as have room."""
    texts = legend.get_texts()
    for columns in range(len(texts) - 1, 0, -1):
        if legend.get_window_extent().width <= width * page.dpi:
            return
        handles: list[Any] = [handle for handle in legend.legend_handles if handle is not None]
        legend.remove()
        legend = page.legend(
            handles=handles,
            labels=[text.get_text() for text in texts],
            ncols=columns,
            prop=texts[0].get_fontproperties(),
            labelcolor=texts[0].get_color(),
            frameon=legend.get_frame_on(),
        )
