"""The one kind of figure: a grid of panels under a header.

Everything fastcam shows as pixels is a :class:`Sheet`; what differs is only which panels it has.
``drawing`` makes pixels of it.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
from fastcam_kernels import colormap, resize
from numpy.typing import NDArray

from fastcam.figures.lettering import Colour

NO_IMAGE = np.zeros((0, 0, 1), dtype=np.uint8)
NO_HEAT = np.zeros((0, 0), dtype=np.float32)
NO_TINT = np.zeros((0, 0), dtype=np.uint8)
NO_BOXES = np.zeros((0, 4), dtype=np.int32)
NO_COLOURS = np.zeros((0, 3), dtype=np.uint8)
NO_WIDTHS = np.zeros(0, dtype=np.int32)
BLACK = np.zeros(3, dtype=np.uint8)
_NO_TABLES = colormap.blend_tables(colormap.table("gray"), 0.0, "flat")

# Of each level of a color table the weight of the image (256,) and the color of the heat (256, 3).
BlendTables = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Palette:
    """Colours of everything on a figure that is not a panel.

    Attributes:
        background: (3,) uint8 RGB.
        title: the title at the left of the header.
        caption: captions, ticks and notes.
        right: the verdict of a right prediction.
        wrong: the verdict of a wrong one.
    """

    background: NDArray[np.uint8]
    title: Colour
    caption: Colour
    right: Colour
    wrong: Colour

    def verdict(self, correct: bool | None) -> Colour:
        """The color of a verdict; ``correct`` is None where it is not known."""
        if correct is None:
            return self.caption
        return self.right if correct else self.wrong


PALETTES = {
    "light": Palette(
        np.array((255, 255, 255), np.uint8),
        (17, 17, 17),
        (96, 96, 96),
        (22, 128, 61),
        (190, 30, 30),
    ),
    "dark": Palette(
        np.array((20, 21, 24), np.uint8),
        (238, 238, 238),
        (170, 172, 176),
        (88, 205, 120),
        (255, 105, 97),
    ),
}


@lru_cache(maxsize=64)
def blend_tables(name: str, alpha: float, mode: Literal["flat", "heat", "only"]) -> BlendTables:
    """The tables by which a kernel mixes an image with heat: see ``colormap.blend_tables``."""
    return colormap.blend_tables(colormap.table(name), alpha, mode)


@dataclass(frozen=True)
class Outlines:
    """Boxes on a panel, the most important one first, drawn on top of the others.

    Attributes:
        boxes: (n, 4) int32 x1, y1, x2, y2 in panel pixels, half-open.
        colours: (n, 3) uint8 RGB.
        widths: (n,) int32 pixels of the lines, which lie inside the box.
        texts: one label a box, or none at all.
    """

    boxes: NDArray[np.int32]
    colours: NDArray[np.uint8]
    widths: NDArray[np.int32]
    texts: tuple[str, ...] = ()


NO_OUTLINES = Outlines(NO_BOXES, NO_COLOURS, NO_WIDTHS)


@dataclass(frozen=True)
class Panel:
    """One picture of a figure. Image, heat and tint may have any size: they are resampled.

    Attributes:
        caption: the text above the panel.
        height: rows of the panel on the canvas.
        width: columns of the panel on the canvas.
        image: (h, w, 1 or 3) uint8, grey or RGB; empty for none.
        image_method: how the image is resampled: one of ``fastcam_kernels.resize``.
        heat: (h, w) float32, or uint8 levels of the color table; empty for none.
        heat_method: how the heat is resampled.
        limits: the heat at the two ends of the color table.
        blend_tables: how heat is mixed with the image, level by level.
        bar: the tables of the color bar; None for no bar.
        tint: (h, w) uint8, not 0 where ``tint_colour`` is laid over; empty for none.
        tint_colour: (3,) uint8 RGB.
        tint_alpha: 0 to 1, the weight of the tint.
        outlines: boxes on the panel, and their labels.
        notice: text in the middle of the panel.
        left_side: a letter in the middle of the left edge.
    """

    caption: str
    height: int
    width: int
    _: KW_ONLY
    image: NDArray[np.uint8] = field(default_factory=lambda: NO_IMAGE)
    image_method: int = resize.BILINEAR
    heat: NDArray[np.float32] | NDArray[np.uint8] = field(default_factory=lambda: NO_HEAT)
    heat_method: int = resize.NEAREST
    limits: tuple[float, float] = (0.0, 1.0)
    blend_tables: BlendTables = field(default_factory=lambda: _NO_TABLES)
    bar: BlendTables | None = None
    tint: NDArray[np.uint8] = field(default_factory=lambda: NO_TINT)
    tint_colour: NDArray[np.uint8] = field(default_factory=lambda: BLACK)
    tint_alpha: float = 0.0
    outlines: Outlines = field(default_factory=lambda: NO_OUTLINES)
    notice: str = ""
    left_side: str = ""


@dataclass(frozen=True)
class Sheet:
    """A figure: a header over rows of panels.

    Attributes:
        title: the header's text at the left.
        verdict: the header's text at the right.
        verdict_colour: RGB, 0 to 255.
        rows: the panels, row by row, from left to right.
        note: text below both, in the captions' size, over as many lines as it takes.
    """

    title: str
    verdict: str
    verdict_colour: Colour
    rows: tuple[tuple[Panel, ...], ...]
    note: str = ""
