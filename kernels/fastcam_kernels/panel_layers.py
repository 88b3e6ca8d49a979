"""What a panel consists of, from the image up to the text, as arguments of the drawing kernels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels.blend_tables import NO_TABLES, BlendTables
from fastcam_kernels.resize import NEAREST

_NO_BOXES = np.zeros((0, 4), np.int32)
_NO_COLORS = np.zeros((0, 3), np.uint8)


class Image(NamedTuple):
    """The picture at the bottom."""

    pixels: NDArray[np.uint8]
    """(h, w, c) uint8, c = 1 (grey) or 3 (RGB); (0, 0, 1) is no picture: black."""
    method: int = NEAREST
    """How it is sampled where its size isn't the panel's, see ``resize``. A resampled picture is
    rounded to uint8 before it is blended."""


class Heat(NamedTuple):
    """Heat over the image, as values with their limits or as levels."""

    values: NDArray[np.float32] | NDArray[np.uint8]
    """(h, w), (0, 0) for none. float32 is sampled to the panel, then its level is
    ``255 * (v - low) / (high - low)`` rounded half up and clipped to 0..255; NaN, and every value
    when high <= low, is level 0. uint8 are levels already, sampled nearest whatever ``method``."""
    low: float
    """The value of level 0, in the unit of ``values``."""
    high: float
    """The value of level 255, in the unit of ``values``."""
    tables: BlendTables
    """What each level is mixed with the image by."""
    method: int = NEAREST
    """How float32 values are sampled where their size isn't the panel's, see ``resize``."""


class Tint(NamedTuple):
    """A region in a color: ``(1 - alpha) * pixel + alpha * color`` inside."""

    mask: NDArray[np.uint8]
    """(h, w) uint8, nonzero is inside, (0, 0) for none; sampled nearest."""
    color: NDArray[np.uint8]
    """(3,) uint8 RGB."""
    alpha: float
    """0 (not seen) to 1 (the color alone)."""


class Outlines(NamedTuple):
    """Outlines of boxes, each inside its box, later ones on top."""

    boxes: NDArray[np.int32]
    """(n, 4) int32 x1, y1, x2, y2 in panel pixels, x2 and y2 exclusive."""
    colors: NDArray[np.uint8]
    """(n, 3) uint8 RGB."""
    widths: NDArray[np.int32]
    """(n,) int32, pixels."""


class Text(NamedTuple):
    """Glyphs, and the filled boxes behind them, in pixels of the panel or canvas."""

    boxes: NDArray[np.int32]
    """(m, 4) int32 x1, y1, x2, y2: the labels' backgrounds, filled before any glyph is drawn."""
    box_colors: NDArray[np.uint8]
    """(m, 3) uint8 RGB."""
    coverage: NDArray[np.uint8]
    """(rows, cols) uint8, 0 background .. 255 text: all glyphs there are in one picture."""
    atlas: NDArray[np.int32]
    """(n, 4) int32: x, y, width, height of each glyph in ``coverage``, pixels."""
    glyphs: NDArray[np.int32]
    """(k, 6) int32: index in ``atlas``, x, y of the top-left pixel, red, green, blue."""


NO_HEAT = Heat(np.zeros((0, 0), np.float32), 0.0, 1.0, NO_TABLES)
NO_TINT = Tint(np.zeros((0, 0), np.uint8), np.zeros(3, np.uint8), 0.0)
NO_OUTLINES = Outlines(_NO_BOXES, _NO_COLORS, np.zeros(0, np.int32))
NO_TEXT = Text(
    _NO_BOXES, _NO_COLORS, np.zeros((0, 0), np.uint8), _NO_BOXES, np.zeros((0, 6), np.int32)
)


class Layers(NamedTuple):
    """All layers of a panel, in the order in which they are drawn."""

    image: Image
    """The picture, or black."""
    heat: Heat = NO_HEAT
    """The heat over it."""
    tint: Tint = NO_TINT
    """A region in a color, e.g. the mask."""
    outlines: Outlines = NO_OUTLINES
    """Boxes around patches, or the lines of a grid."""
    text: Text = NO_TEXT
    """Labels and notices."""
