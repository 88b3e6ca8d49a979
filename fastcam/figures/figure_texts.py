"""The texts around the panels of a figure: header and captions, and the layout they ask for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcam.figures import layout
from fastcam.figures.lettering import Lettering
from fastcam.figures.sheet import Palette, Sheet

# The glyphs (m, 6) int32 of each text: see ``BitmapFont.glyphs_of``.
TextGlyphs = list[NDArray[np.int32]]


def layout_of(sheet: Sheet, lettering: Lettering) -> layout.Layout:
    """The layout of a figure, with as many header lines as its texts take."""
    zoom = layout.zoom_of(max(max(p.height, p.width) for row in sheet.rows for p in row))
    cells = tuple(
        tuple(layout.Cell(p.width, p.height, p.bar is not None) for p in row) for row in sheet.rows
    )
    plan = layout.arrange(cells, 1, zoom)
    room = lettering.title.width(sheet.title) + lettering.title.width(sheet.verdict)
    lines = 2 if room + 2 * lettering.title.height > plan.header.width else 1
    note_lines = len(_note_lines(sheet.note, plan.header.width, lettering))
    return plan if lines + note_lines == 1 else layout.arrange(cells, lines + note_lines, zoom)


def texts_of(
    sheet: Sheet, plan: layout.Layout, lettering: Lettering, palette: Palette
) -> TextGlyphs:
    """The header's texts and the panels' captions."""
    glyphs = _header(sheet, plan, lettering, palette)
    font = lettering.caption
    panels = [panel for row in sheet.rows for panel in row]
    for panel, area in zip(panels, plan.areas, strict=True):
        text = font.fit(panel.caption, area.caption.width)
        glyphs.append(font.glyphs_of(text, area.caption.x, area.caption.y, palette.caption))
    return glyphs


def _note_lines(note: str, width: int, lettering: Lettering) -> list[str]:
    lines: list[str] = []
    for word in note.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and lettering.caption.width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _header(
    sheet: Sheet, plan: layout.Layout, lettering: Lettering, palette: Palette
) -> TextGlyphs:
    area, font = plan.header, lettering.title
    note = _note_lines(sheet.note, area.width, lettering)
    two_lines = area.height > plan.header_line * (1 + len(note))
    verdict = font.fit(sheet.verdict, area.width)
    title = font.fit(sheet.title, area.width)
    right = area.x + area.width - font.width(verdict)
    y = area.y - 2
    below = y + area.height - len(note) * plan.header_line
    glyphs = [
        lettering.caption.glyphs_of(
            lettering.caption.fit(line, area.width),
            area.x,
            below + at * plan.header_line,
            palette.caption,
        )
        for at, line in enumerate(note)
    ]
    return [
        *glyphs,
        font.glyphs_of(title, area.x, y, palette.title),
        font.glyphs_of(
            verdict,
            area.x if two_lines else right,
            y + plan.header_line if two_lines else y,
            sheet.verdict_colour,
        ),
    ]
