"""The texts around the panels of a figure: header, captions and note, as glyphs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcam.figures import layout
from fastcam.figures.figure_parts import Sheet
from fastcam.figures.lettering import Lettering
from fastcam.figures.render_style import Palette

# The glyphs (m, 6) int32 of each text: see ``BitmapFont.glyphs_of``.
TextGlyphs = list[NDArray[np.int32]]


def texts_of(
    sheet: Sheet, plan: layout.Layout, lettering: Lettering, palette: Palette
) -> TextGlyphs:
    """The header's texts, the panels' captions, and what the numbers of their bars are in."""
    glyphs = _header(sheet, plan, lettering, palette)
    font = lettering.caption
    panels = [panel for row in sheet.rows for panel in row]
    for panel, area in zip(panels, plan.areas, strict=True):
        room = area.caption.width
        if panel.bar_caption and area.bar is not None:
            own = font.width(panel.bar_caption)
            x = min(area.bar.x, area.caption.x + area.caption.width - own)
            room = x - area.caption.x - font.width("  ")
            glyphs.append(font.glyphs_of(panel.bar_caption, x, area.caption.y, palette.caption))
        text = font.fit(panel.caption, room)
        glyphs.append(font.glyphs_of(text, area.caption.x, area.caption.y, palette.caption))
    return glyphs


def _header(
    sheet: Sheet, plan: layout.Layout, lettering: Lettering, palette: Palette
) -> TextGlyphs:
    area, font = plan.header, lettering.title
    note = layout.note_lines(sheet.note, area.width, lettering)
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
            sheet.verdict_color,
        ),
    ]
