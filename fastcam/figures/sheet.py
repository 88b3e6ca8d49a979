"""The one kind of figure: a grid of panels under a header, drawn by the fused kernel.

Everything fastcam shows as pixels is a :class:`Sheet`; what differs is only which panels it has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
from fastcam_kernels import colormap, compose, labels, margins, resize
from numpy.typing import NDArray

from fastcam.figures import layout, numbers
from fastcam.figures.buffers import Buffers
from fastcam.figures.lettering import Colour, Lettering

NO_IMAGE = np.zeros((0, 0, 1), dtype=np.uint8)
NO_HEAT = np.zeros((0, 0), dtype=np.float32)
NO_TINT = np.zeros((0, 0), dtype=np.uint8)
NO_BOXES = np.zeros((0, 4), dtype=np.int32)
_NO_COLOURS = np.zeros((0, 3), dtype=np.uint8)
_NO_WIDTHS = np.zeros(0, dtype=np.int32)
_NO_MARKS = np.zeros((0, 6), dtype=np.int32)
_SIDE_COLOUR = (235, 235, 235)
_BLACK = np.zeros(3, dtype=np.uint8)
_NO_PAINT = colormap.blend_tables(colormap.table("gray"), 0.0, "flat")
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_FEW_TICKS = (0.0, 1.0)

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


NO_OUTLINES = Outlines(NO_BOXES, _NO_COLOURS, _NO_WIDTHS)


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
    tint_colour: NDArray[np.uint8] = field(default_factory=lambda: _BLACK)
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


def draw(sheet: Sheet, lettering: Lettering, palette: Palette) -> NDArray[np.uint8]:
    """Draw a figure: canvas (height, width, 3) uint8 RGB."""
    plan = _plan(sheet, lettering)
    canvas = np.empty((plan.height, plan.width, 3), dtype=np.uint8)
    _draw(sheet, plan, lettering, palette, canvas, None)
    return canvas


def draw_rows(
    sheet: Sheet, lettering: Lettering, palette: Palette, buffers: Buffers
) -> NDArray[np.uint8]:
    """Draw a figure as the filtered rows (height, 1 + 3 * width) uint8 of its PNG file.

    The same picture as :func:`draw`, without a pass over a canvas in between. The rows are those
    of ``buffers``: the next figure drawn with them overwrites these.
    """
    plan = _plan(sheet, lettering)
    rows = buffers.take("rows", (plan.height, 1 + 3 * plan.width), np.uint8)
    # The colour bar and the paper around the panels are those of the figure before, if that was
    # a slice of the same case: only what is above the panels is drawn anew. Saves 0.2 ms.
    around = (plan, lettering, palette, rows.ctypes.data, *_bars(sheet))
    top_only = len(sheet.rows) == 1 and buffers.contents == around
    buffers.contents = None
    _draw(sheet, plan, lettering, palette, rows, plan.filters, top_only)
    buffers.contents = around
    return rows


def _bars(sheet: Sheet) -> list[object]:
    return [(p.limits, id(p.bar)) for row in sheet.rows for p in row if p.bar is not None]


def _plan(sheet: Sheet, lettering: Lettering) -> layout.Layout:
    zoom = layout.zoom_of(max(max(p.height, p.width) for row in sheet.rows for p in row))
    cells = tuple(
        tuple(layout.Cell(p.width, p.height, p.bar is not None) for p in row) for row in sheet.rows
    )
    plan = layout.arrange(cells, 1, zoom)
    room = lettering.title.width(sheet.title) + lettering.title.width(sheet.verdict)
    lines = 2 if room + 2 * lettering.title.height > plan.header.width else 1
    noted = len(_note_lines(sheet.note, plan.header.width, lettering))
    return plan if lines + noted == 1 else layout.arrange(cells, lines + noted, zoom)


def _note_lines(note: str, width: int, lettering: Lettering) -> list[str]:
    lines: list[str] = []
    for word in note.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and lettering.caption.width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _draw(
    sheet: Sheet,
    plan: layout.Layout,
    lettering: Lettering,
    palette: Palette,
    target: NDArray[np.uint8],
    filters: NDArray[np.uint8] | None,
    top_only: bool = False,
) -> None:
    panels = [panel for row in sheet.rows for panel in row]
    marks = _header(sheet, plan, lettering, palette)
    for panel, place in zip(panels, plan.places, strict=True):
        text = lettering.caption.fit(panel.caption, place.caption.width)
        marks.append(
            lettering.caption.marks(text, place.caption.x, place.caption.y, palette.caption)
        )
        if place.bar is not None and not top_only:
            marks += _ticks(panel.limits, place.bar, lettering, palette)
    margins.margins(
        target, palette.paper, plan.holes, NO_BOXES, _NO_COLOURS,
        lettering.coverage, lettering.boxes, np.concatenate(marks), filters,
        plan.places[0].panel.y if top_only else None,
    )  # fmt: skip
    for panel, place in zip(panels, plan.places, strict=True):
        _panel(target, filters, panel, place.panel, lettering)
        if place.bar is not None and panel.bar is not None and not top_only:
            _bar(target, filters, panel.bar, place.bar, lettering)


def _header(
    sheet: Sheet, plan: layout.Layout, lettering: Lettering, palette: Palette
) -> list[NDArray[np.int32]]:
    area, hand = plan.header, lettering.title
    note = _note_lines(sheet.note, area.width, lettering)
    two_lines = area.height > plan.header_line * (1 + len(note))
    verdict = hand.fit(sheet.verdict, area.width)
    title = hand.fit(sheet.title, area.width)
    right = area.x + area.width - hand.width(verdict)
    y = area.y - 2
    below = y + area.height - len(note) * plan.header_line
    marks = [
        lettering.caption.marks(
            lettering.caption.fit(line, area.width), area.x, below + at * plan.header_line,
            palette.caption,
        )
        for at, line in enumerate(note)
    ]  # fmt: skip
    return [
        *marks,
        hand.marks(title, area.x, y, palette.title),
        hand.marks(
            verdict,
            area.x if two_lines else right,
            y + plan.header_line if two_lines else y,
            sheet.verdict_colour,
        ),
    ]


def _ticks(
    limits: tuple[float, float], bar: layout.Rect, lettering: Lettering, palette: Palette
) -> list[NDArray[np.int32]]:
    low, high = limits
    hand = lettering.tick
    marks = []
    shares = _TICKS if bar.height > len(_TICKS) * hand.height else _FEW_TICKS
    step = (high - low) * shares[1]
    for share in shares:
        text = numbers.tick(low + share * (high - low), max(abs(low), abs(high)), step)
        middle = bar.y + (1.0 - share) * (bar.height - 1)
        y = round(middle - hand.ascent * 0.62)
        y = min(max(y, bar.y - hand.ascent // 4), bar.y + bar.height - hand.ascent)
        marks.append(hand.marks(text, bar.x + bar.width + 4, y, palette.caption))
    return marks


def _panel(
    target: NDArray[np.uint8],
    filters: NDArray[np.uint8] | None,
    panel: Panel,
    place: layout.Rect,
    lettering: Lettering,
) -> None:
    plates, plate_colours, marks = _lettered(panel, lettering)
    image_weight, heat_colour = panel.paint
    lines = panel.outlines
    compose.panel(
        target, place.x, place.y, place.width, place.height,
        panel.image, panel.heat, panel.limits[0], panel.limits[1], image_weight, heat_colour,
        panel.image_method, panel.heat_method,
        panel.tint, panel.tint_colour, panel.tint_alpha,
        # Drawn last is drawn on top: the most important box comes first in `outlines`.
        lines.boxes[::-1].copy(), lines.colours[::-1].copy(), lines.widths[::-1].copy(),
        plates, plate_colours, lettering.coverage, lettering.boxes, marks, filters,
    )  # fmt: skip


@lru_cache(maxsize=16)
def _bar_heat(height: int, width: int) -> NDArray[np.float32]:
    """Heat whose rows run from 1 down to 0 in the steps of a colour table.

    At the bar's own size: sampling a column took 0.18 ms a figure, as long as the overlay.
    """
    rows = np.rint(np.linspace(255.0, 0.0, height)) / 255.0
    return np.repeat(rows.astype(np.float32)[:, np.newaxis], width, axis=1)


def _bar(
    target: NDArray[np.uint8],
    filters: NDArray[np.uint8] | None,
    colours: Paint,
    place: layout.Rect,
    lettering: Lettering,
) -> None:
    compose.panel(
        target, place.x, place.y, place.width, place.height,
        NO_IMAGE, _bar_heat(place.height, place.width), 0.0, 1.0, colours[0], colours[1],
        resize.NEAREST, resize.NEAREST, NO_TINT, _BLACK, 0.0,
        NO_BOXES, _NO_COLOURS, _NO_WIDTHS,
        NO_BOXES, _NO_COLOURS, lettering.coverage, lettering.boxes, _NO_MARKS, filters,
    )  # fmt: skip


def _lettered(
    panel: Panel, lettering: Lettering
) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int32]]:
    """Backings and glyphs of a panel's labels and notice, in panel pixels."""
    lines = panel.outlines
    plates: list[tuple[int, int, int, int]] = []
    marks: list[NDArray[np.int32]] = []
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
                marks.append(hand.marks(text, x + 3, y, (r, g, b)))
    if panel.notice:
        hand = lettering.caption
        text = hand.fit(panel.notice, panel.width - 8)
        x = (panel.width - hand.width(text)) // 2
        marks.append(hand.marks(text, x, (panel.height - hand.height) // 2, (200, 200, 200)))
    if panel.left_side and panel.height >= 2 * lettering.label.height:
        hand = lettering.label
        width, y = hand.width(panel.left_side) + 6, (panel.height - hand.height) // 2
        plates.append((0, y, width, y + hand.height))
        marks.append(hand.marks(panel.left_side, 3, y, _SIDE_COLOUR))
    if not marks:
        return NO_BOXES, _NO_COLOURS, _NO_MARKS
    backing = np.zeros((len(plates), 3), dtype=np.uint8)
    return np.array(plates, dtype=np.int32).reshape(-1, 4), backing, np.concatenate(marks)
