"""The one kind of figure: a grid of panels under a header.

Everything fastcam shows as pixels is a :class:`Sheet`; what differs is only which panels it has.
``figure_pixels`` makes pixels of it.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field

import numpy as np
from fastcam_kernels import resize
from fastcam_kernels.blend_tables import NO_TABLES, BlendTables
from numpy.typing import NDArray

from fastcam.figures.glyph_atlas import Color
from fastcam.figures.numbers import TickText, tick

NO_IMAGE = np.zeros((0, 0, 1), dtype=np.uint8)
NO_HEAT = np.zeros((0, 0), dtype=np.float32)
NO_TINT = np.zeros((0, 0), dtype=np.uint8)
NO_BOXES = np.zeros((0, 4), dtype=np.int32)
NO_COLORS = np.zeros((0, 3), dtype=np.uint8)
NO_WIDTHS = np.zeros(0, dtype=np.int32)
BLACK = np.zeros(3, dtype=np.uint8)


@dataclass(frozen=True)
class Outlines:
    """Boxes on a panel, the most important one first, drawn on top of the others.

    Attributes:
        boxes: (n, 4) int32 x1, y1, x2, y2 in panel pixels, half-open.
        colors: (n, 3) uint8 RGB.
        widths: (n,) int32 pixels of the lines, which lie inside the box.
        texts: one label a box, or none at all.
        whole_lines: how many boxes, from the first, have whole lines; the others' are dashed.
            None: all.
        clear: whether labels keep clear of all boxes, because what is in these is to be seen.
    """

    boxes: NDArray[np.int32]
    colors: NDArray[np.uint8]
    widths: NDArray[np.int32]
    texts: tuple[str, ...] = ()
    whole_lines: int | None = None
    clear: bool = False


NO_OUTLINES = Outlines(NO_BOXES, NO_COLORS, NO_WIDTHS)


@dataclass(frozen=True)
class Panel:
    """One picture of a figure. Image, heat and tint may have any size: they are resampled.

    Attributes:
        caption: the text above the panel.
        whole_caption: whether the caption is never shortened, but goes on in further lines.
        aside: text after the caption, shortened or left out where there is no room for it.
        height: rows of the panel on the canvas.
        width: columns of the panel on the canvas.
        image: (h, w, 1 or 3) uint8, grey or RGB; empty for none.
        image_method: how the image is resampled: one of ``fastcam_kernels.resize``.
        heat: (h, w) float32, or uint8 levels of the color table; empty for none.
        heat_method: how the heat is resampled.
        limits: the heat at the two ends of the color table.
        blend_tables: how heat is mixed with the image, level by level.
        bar: the tables of the color bar; None for no bar.
        bar_unit: the heat that the bar calls 1.
        bar_caption: text above the bar: what its numbers are in.
        bar_zero: whether zero is marked on the bar.
        bar_mark: a heat that is marked on the bar, at its end where it lies beyond, and the text
            of the mark; None for none.
        bar_text: the form of the bar's numbers.
        tint: (h, w) uint8, not 0 where ``tint_color`` is laid over; empty for none.
        tint_color: (3,) uint8 RGB.
        tint_alpha: 0 to 1, the weight of the tint.
        outlines: boxes on the panel, and their labels.
        notice: text in the middle of the panel.
        left_side: a letter in the middle of the left edge.
        top_side: a letter in the middle of the top edge.
        scale_bar: the pixels of a line at the bottom left, and its text; no pixels for none.
    """

    caption: str
    height: int
    width: int
    _: KW_ONLY
    whole_caption: bool = False
    aside: str = ""
    image: NDArray[np.uint8] = field(default_factory=lambda: NO_IMAGE)
    image_method: int = resize.BILINEAR
    heat: NDArray[np.float32] | NDArray[np.uint8] = field(default_factory=lambda: NO_HEAT)
    heat_method: int = resize.NEAREST
    limits: tuple[float, float] = (0.0, 1.0)
    blend_tables: BlendTables = field(default_factory=lambda: NO_TABLES)
    bar: BlendTables | None = None
    bar_unit: float = 1.0
    bar_caption: str = ""
    bar_zero: bool = False
    bar_mark: tuple[float, str] | None = None
    bar_text: TickText = tick
    tint: NDArray[np.uint8] = field(default_factory=lambda: NO_TINT)
    tint_color: NDArray[np.uint8] = field(default_factory=lambda: BLACK)
    tint_alpha: float = 0.0
    outlines: Outlines = field(default_factory=lambda: NO_OUTLINES)
    notice: str = ""
    left_side: str = ""
    top_side: str = ""
    scale_bar: tuple[int, str] = (0, "")


@dataclass(frozen=True)
class Sheet:
    """A figure: a header over rows of panels.

    Attributes:
        title: the header's text at the left.
        verdict: the header's text at the right.
        verdict_color: RGB, 0 to 255.
        rows: the panels, row by row, from left to right.
        note: text below both, in the captions' size, over as many lines as it takes.
    """

    title: str
    verdict: str
    verdict_color: Color
    rows: tuple[tuple[Panel, ...], ...]
    note: str = ""
