"""The one kind of figure: a grid of panels under a header, drawn by the fused kernel.

Everything fastcam shows as pixels is a :class:`Sheet`; what differs is only which panels it has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
from fastcam_kernels import colormap, compose, labels, resize
from numpy.typing import NDArray

from fastcam.figures import layout, numbers
from fastcam.figures.buffers import Buffers
from fastcam.figures.lettering import Lettering

Colour = tuple[int, int, int]

NO_IMAGE = np.zeros((0, 0, 1), dtype=np.uint8)
NO_HEAT = np.zeros((0, 0), dtype=np.float32)
NO_TINT = np.zeros((0, 0), dtype=np.uint8)
NO_BOXES = np.zeros((0, 4), dtype=np.int32)
_NO_COLOURS = np.zeros((0, 3), dtype=np.uint8)
_NO_WIDTHS = np.zeros(0, dtype=np.int32)
_NO_MARKS = np.zeros((0, 6), dtype=np.int32)
_BLACK = np.zeros(3, dtype=np.uint8)
_NO_PAINT = colormap.blend_tables(colormap.table("gray"), 0.0, "flat")
# A bar is a map of one column whose values run from the upper limit down to the lower.
_BAR_HEAT = np.linspace(1.0, 0.0, 256, dtype=np.float32).reshape(256, 1)
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)

Paint = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
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


_NO_OUTLINES = Outlines(NO_BOXES, _NO_COLOURS, _NO_WIDTHS)


@dataclass(frozen=True)
class Panel:
    """One picture of a figure, ``height`` x ``width`` canvas pixels.

    ``image`` (h, w, 1 or 3) uint8 and ``heat`` (h, w) float32 may have any size: they are
    resampled to the panel, the image bilinearly. ``limits`` are the heat values at the two ends
    of the colour table. ``tint`` (h, w) uint8 colours where it is not zero. ``notice`` is text in
    the middle of the panel.
    """

    caption: str
    height: int
    width: int
    image: NDArray[np.uint8] = field(default_factory=lambda: NO_IMAGE)
    image_method: int = resize.BILINEAR
    heat: NDArray[np.float32] = field(default_factory=lambda: NO_HEAT)
    heat_method: int = resize.NEAREST
    limits: tuple[float, float] = (0.0, 1.0)
    paint: Paint = field(default_factory=lambda: _NO_PAINT)
    bar: Paint | None = None
    tint: NDArray[np.uint8] = field(default_factory=lambda: NO_TINT)
    tint_colour: NDArray[np.uint8] = field(default_factory=lambda: _BLACK)
    tint_alpha: float = 0.0
    outlines: Outlines = field(default_factory=lambda: _NO_OUTLINES)
    notice: str = ""


@dataclass(frozen=True)
class Sheet:
    """A figure: header texts at the left and the right, and rows of panels."""

    title: str
    verdict: str
    verdict_colour: Colour
    rows: tuple[tuple[Panel, ...], ...]


def draw(
    sheet: Sheet, lettering: Lettering, palette: Palette, buffers: Buffers | None = None
) -> NDArray[np.uint8]:
    """Draw a figure: (height, width, 3) uint8 RGB, every pixel written in one pass.

    With ``buffers`` the canvas is theirs, and the next figure drawn with them overwrites it.
    """
    panels = [panel for row in sheet.rows for panel in row]
    zoom = layout.zoom_of(max(max(p.height, p.width) for p in panels))
    cells = tuple(
        tuple(layout.Cell(p.width, p.height, p.bar is not None) for p in row) for row in sheet.rows
    )
    plan = layout.arrange(cells, 1, zoom)
    room = lettering.title.width(sheet.title) + lettering.title.width(sheet.verdict)
    if room + 2 * lettering.title.height > plan.header.width:
        plan = layout.arrange(cells, 2, zoom)
    canvas = (buffers or Buffers()).take("canvas", (plan.height, plan.width, 3), np.uint8)
    marks = _header(sheet, plan, lettering, palette)
    for panel, place in zip(panels, plan.places, strict=True):
        text = lettering.caption.fit(panel.caption, place.caption.width)
        marks += lettering.caption.marks(text, place.caption.x, place.caption.y, palette.caption)
        if place.bar is not None:
            marks += _ticks(panel.limits, place.bar, lettering, palette)
    compose.margins(
        canvas, palette.paper, plan.holes, NO_BOXES, _NO_COLOURS,
        lettering.coverage, lettering.boxes, lettering.marks(marks),
    )  # fmt: skip
    for panel, place in zip(panels, plan.places, strict=True):
        _panel(canvas, panel, place.panel, lettering)
        if place.bar is not None and panel.bar is not None:
            _bar(canvas, panel.bar, place.bar, lettering)
    return canvas


def _header(
    sheet: Sheet, plan: layout.Layout, lettering: Lettering, palette: Palette
) -> list[tuple[int, ...]]:
    area, hand = plan.header, lettering.title
    two_lines = area.height > plan.header_line
    verdict = hand.fit(sheet.verdict, area.width)
    title = hand.fit(sheet.title, area.width)
    right = area.x + area.width - hand.width(verdict)
    marks = hand.marks(title, area.x, area.y - 2, palette.title)
    if two_lines:
        return marks + hand.marks(
            verdict, area.x, area.y - 2 + plan.header_line, sheet.verdict_colour
        )
    return marks + hand.marks(verdict, right, area.y - 2, sheet.verdict_colour)


def _ticks(
    limits: tuple[float, float], bar: layout.Rect, lettering: Lettering, palette: Palette
) -> list[tuple[int, ...]]:
    low, high = limits
    hand = lettering.tick
    marks = []
    for share in _TICKS:
        text = numbers.tick(low + share * (high - low), max(abs(low), abs(high)))
        middle = bar.y + (1.0 - share) * (bar.height - 1)
        y = round(middle - hand.ascent * 0.62)
        y = min(max(y, bar.y - hand.ascent // 4), bar.y + bar.height - hand.ascent)
        marks += hand.marks(text, bar.x + bar.width + 4, y, palette.caption)
    return marks


def _panel(
    canvas: NDArray[np.uint8], panel: Panel, place: layout.Rect, lettering: Lettering
) -> None:
    plates, plate_colours, marks = _lettered(panel, lettering)
    image_weight, heat_colour = panel.paint
    lines = panel.outlines
    compose.panel(
        canvas, place.x, place.y, place.width, place.height,
        panel.image, panel.heat, panel.limits[0], panel.limits[1], image_weight, heat_colour,
        panel.image_method, panel.heat_method,
        panel.tint, panel.tint_colour, panel.tint_alpha,
        # Drawn last is drawn on top: the most important box comes first in `outlines`.
        lines.boxes[::-1].copy(), lines.colours[::-1].copy(), lines.widths[::-1].copy(),
        plates, plate_colours, lettering.coverage, lettering.boxes, marks,
    )  # fmt: skip


def _bar(
    canvas: NDArray[np.uint8], colours: Paint, place: layout.Rect, lettering: Lettering
) -> None:
    compose.panel(
        canvas, place.x, place.y, place.width, place.height,
        NO_IMAGE, _BAR_HEAT, 0.0, 1.0, colours[0], colours[1],
        resize.NEAREST, resize.BILINEAR, NO_TINT, _BLACK, 0.0,
        NO_BOXES, _NO_COLOURS, _NO_WIDTHS,
        NO_BOXES, _NO_COLOURS, lettering.coverage, lettering.boxes, _NO_MARKS,
    )  # fmt: skip


def _lettered(
    panel: Panel, lettering: Lettering
) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int32]]:
    """Backings and glyphs of a panel's labels and notice, in panel pixels."""
    lines = panel.outlines
    plates: list[tuple[int, int, int, int]] = []
    marks: list[tuple[int, ...]] = []
    if lines.texts:
        hand = lettering.label
        sizes = np.array([(hand.width(t) + 6, hand.height) for t in lines.texts], dtype=np.int32)
        count = len(lines.texts)
        spots = labels.place(lines.boxes[:count], sizes, panel.width, panel.height, 3)
        colours = lines.colours.tolist()
        for text, (x, y), (width, height), (r, g, b) in zip(
            lines.texts, spots.tolist(), sizes.tolist(), colours, strict=False
        ):
            if x >= 0:
                plates.append((x, y, x + width, y + height))
                marks += hand.marks(text, x + 3, y, (r, g, b))
    if panel.notice:
        hand = lettering.caption
        text = hand.fit(panel.notice, panel.width - 8)
        x = (panel.width - hand.width(text)) // 2
        marks += hand.marks(text, x, (panel.height - hand.height) // 2, (200, 200, 200))
    if not marks:
        return NO_BOXES, _NO_COLOURS, _NO_MARKS
    backing = np.zeros((len(plates), 3), dtype=np.uint8)
    return np.array(plates, dtype=np.int32).reshape(-1, 4), backing, lettering.marks(marks)
