"""Whether a page of plots has room for its texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.figures.plot_texts import NAMES_APART, all_axes, table_texts, tick_texts

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Page

# Inches.
_NARROWEST_PLOT = 1.3
# Pixels in which texts may touch.
_EDGE = 2.0


def has_room(page: Page) -> bool:
    """Whether no text lies over another or over the page's edge, and no plot is too narrow."""
    width, height = page.get_size_inches() * page.dpi
    for axes in page.axes:
        if axes.get_position().width * width < _NARROWEST_PLOT * page.dpi:
            return False
        legend = axes.get_legend()
        if legend is not None and not _inside(legend.get_window_extent(), axes.bbox):
            return False
    found = _boxes(page)
    if not found.size:
        return True
    if found[:, :2].min() < -1 or found[:, 2].max() > width + 1 or found[:, 3].max() > height + 1:
        return False
    return not _overlapping(found)


def _boxes(page: Page) -> NDArray[np.float64]:
    """(n, 4) x0, y0, x1, y1 in pixels of the texts that are drawn, those aslant left out."""
    from matplotlib.text import Text

    ticks = {
        id(text)
        for axes in all_axes(page)
        for axis in (axes.xaxis, axes.yaxis)
        for text in axis.get_ticklabels(which="both")
    }
    shown = [text for text in page.findobj(Text) if id(text) not in ticks and text.get_visible()]
    shown += table_texts(page)
    # Names beside each other need more than what parts two texts elsewhere.
    half = NAMES_APART * page.dpi / 2
    around = [*((text, 0.0) for text in shown), *((text, half) for text in tick_texts(page))]
    boxes = [
        (box.x0 - more, box.y0, box.x1 + more, box.y1)
        for text, more in around
        if text.get_text().strip() and not text.get_rotation() % 90
        for box in [text.get_window_extent()]
        if box.width > 0
    ]
    return np.array(boxes, np.float64)


def _inside(box: Any, other: Any) -> bool:
    return bool(box.x0 >= other.x0 - 2 and box.x1 <= other.x1 + 2)


def _overlapping(boxes: NDArray[np.float64]) -> bool:
    """Whether any two of the boxes (n, 4), x0, y0, x1, y1, share more than their edges."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = (high - low > _EDGE).all(-1)
    return bool(shared.sum() > len(boxes))
