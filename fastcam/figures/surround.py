"""What is around the panels of a figure: its layout, and the texts in their places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcam.figures import layout, numbers
from fastcam.figures.lettering import Lettering
from fastcam.figures.sheet import Palette, Sheet

_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_FEW_TICKS = (0.0, 1.0)

Marks = list[NDArray[np.int32]]


def plan_of(sheet: Sheet, lettering: Lettering) -> layout.Layout:
    """The layout of a figure, with as many header lines as its texts take."""
    zoom = layout.zoom_of(max(max(p.height, p.width) for row in sheet.rows for p in row))
    cells = tuple(
        tuple(layout.Cell(p.width, p.height, p.bar is not None) for p in row) for row in sheet.rows
    )
    plan = layout.arrange(cells, 1, zoom)
    room = lettering.title.width(sheet.title) + lettering.title.width(sheet.verdict)
    lines = 2 if room + 2 * lettering.title.height > plan.header.width else 1
    noted = len(_note_lines(sheet.note, plan.header.width, lettering))
    return plan if lines + noted == 1 else layout.arrange(cells, lines + noted, zoom)


def texts_of(sheet: Sheet, plan: layout.Layout, lettering: Lettering, palette: Palette) -> Marks:
    """The header's texts and the panels' captions."""
    marks = _header(sheet, plan, lettering, palette)
    hand = lettering.caption
    panels = [panel for row in sheet.rows for panel in row]
    for panel, place in zip(panels, plan.places, strict=True):
        text = hand.fit(panel.caption, place.caption.width)
        marks.append(hand.marks(text, place.caption.x, place.caption.y, palette.caption))
    return marks


def ticks_of(sheet: Sheet, plan: layout.Layout, lettering: Lettering, palette: Palette) -> Marks:
    """The numbers beside the colour bars."""
    panels = [panel for row in sheet.rows for panel in row]
    marks: Marks = []
    for panel, place in zip(panels, plan.places, strict=True):
        if place.bar is not None:
            marks += _ticks(panel.limits, place.bar, lettering, palette)
    return marks


def _note_lines(note: str, width: int, lettering: Lettering) -> list[str]:
    lines: list[str] = []
    for word in note.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and lettering.caption.width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _header(sheet: Sheet, plan: layout.Layout, lettering: Lettering, palette: Palette) -> Marks:
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
) -> Marks:
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
