"""The one kind of figure: a grid of panels under a header.

Everything fastcam shows as pixels is a :class:`Sheet`; what differs is only which panels it has.
``drawing`` makes pixels of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
_NO_PAINT = colormap.blend_tables(colormap.table("gray"), 0.0, "flat")

Paint = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Palette:
    """Colours of everything on a figure that is not a panel."""

    paper: NDArray[np.uint8]
    title: Colour
    caption: Colour
    right: Colour
    wrong: Colour


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
def paint(name: str, alpha: float, mode: Literal["flat", "heat", "only"]) -> Paint:
    """Tables by which the kernel mixes an image with heat: see ``colormap.blend_tables``."""
    return colormap.blend_tables(colormap.table(name), alpha, mode)


@dataclass(frozen=True)
class Outlines:
    """Boxes on a panel, the most important one first, drawn on top of the others.

    ``boxes`` (n, 4) int32 in panel pixels, half-open; ``colours`` (n, 3) uint8; ``widths`` (n,)
    int32 pixels, lines lie inside the box; ``texts`` one label a box, or none at all.
    """

    boxes: NDArray[np.int32]
    colours: NDArray[np.uint8]
    widths: NDArray[np.int32]
    texts: tuple[str, ...] = ()


NO_OUTLINES = Outlines(NO_BOXES, NO_COLOURS, NO_WIDTHS)


@dataclass(frozen=True)
class Panel:
    """One picture of a figure, ``height`` x ``width`` canvas pixels.

    ``image`` (h, w, 1 or 3) uint8 and ``heat`` (h, w) may have any size: they are
    resampled to the panel, the image bilinearly. Heat is float32, or uint8 levels of the colour
    table already. ``limits`` are the heat values at the two ends of the table. ``tint`` (h, w)
    uint8 colours where it is not zero. ``notice`` is text in the middle of the panel,
    ``left_side`` a letter in the middle of its left edge.
    """

    caption: str
    height: int
    width: int
    image: NDArray[np.uint8] = field(default_factory=lambda: NO_IMAGE)
    image_method: int = resize.BILINEAR
    heat: NDArray[np.float32] | NDArray[np.uint8] = field(default_factory=lambda: NO_HEAT)
    heat_method: int = resize.NEAREST
    limits: tuple[float, float] = (0.0, 1.0)
    paint: Paint = field(default_factory=lambda: _NO_PAINT)
    bar: Paint | None = None
    tint: NDArray[np.uint8] = field(default_factory=lambda: NO_TINT)
    tint_colour: NDArray[np.uint8] = field(default_factory=lambda: BLACK)
    tint_alpha: float = 0.0
    outlines: Outlines = field(default_factory=lambda: NO_OUTLINES)
    notice: str = ""
    left_side: str = ""


@dataclass(frozen=True)
class Sheet:
    """A figure: header texts at the left and the right, below them ``note`` in the captions' size,
    over as many lines as it takes, and rows of panels."""

    title: str
    verdict: str
    verdict_colour: Colour
    rows: tuple[tuple[Panel, ...], ...]
    note: str = ""
