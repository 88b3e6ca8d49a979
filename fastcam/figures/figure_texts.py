"""The texts around the panels of a figure: header, captions and note."""

from __future__ import annotations

from fastcam.figures import layout
from fastcam.figures.figure_parts import Sheet
from fastcam.figures.glyph_atlas import Lettering, TextLine
from fastcam.figures.render_style import Palette


def texts_of(
    sheet: Sheet, plan: layout.Layout, lettering: Lettering, palette: Palette
) -> list[TextLine]:
    """The header's texts, the panels' captions, and what the numbers of their bars are in."""
    lines = _header(sheet, plan, lettering, palette)
    font = lettering.caption
    panels = [panel for row in sheet.rows for panel in row]
    for panel, area in zip(panels, plan.areas, strict=True):
        # The last line stands right above the panel.
        x, last = area.caption.x, area.caption.y + (plan.caption_lines - 1) * plan.caption_pitch
        end = layout.bar_caption_x(panel, area, lettering)
        room = layout.caption_room(panel, area, lettering)
        if panel.bar_caption and area.bar is not None:
            lines.append(TextLine(font, panel.bar_caption, end, last, palette.caption))
        if plan.caption_lines > 1:
            texts = layout.caption_lines(panel, area, lettering)
        else:
            texts = [layout.caption_line(panel, area, lettering)]
        top = last - (len(texts) - 1) * plan.caption_pitch
        for number, text in enumerate(texts):
            y = top + number * plan.caption_pitch
            width = room if number == len(texts) - 1 else area.caption.width
            lines.append(TextLine(font, font.fit(text, width), x, y, palette.caption))
    return lines


def _header(
    sheet: Sheet, plan: layout.Layout, lettering: Lettering, palette: Palette
) -> list[TextLine]:
    area, font = plan.header, lettering.title
    note = layout.note_lines(sheet.note, area.width, lettering)
    title, verdict = layout.header_lines(sheet, area.width, lettering)
    y = area.y - 2
    below = y + area.height - len(note) * plan.header_line
    lines = [
        TextLine(
            lettering.caption,
            lettering.caption.fit(line, area.width),
            area.x,
            below + at * plan.header_line,
            palette.caption,
        )
        for at, line in enumerate(note)
    ]
    colors = [*(palette.title for _ in title), *(sheet.verdict_color for _ in verdict)]
    lines += [
        TextLine(font, font.fit(line, area.width), area.x, y + at * plan.header_line, color)
        for at, (line, color) in enumerate(zip([*title, *verdict], colors, strict=True))
    ]
    if not verdict:
        at_right = font.fit(sheet.verdict, area.width)
        x = area.x + area.width - font.width(at_right)
        lines.append(TextLine(font, at_right, x, y, sheet.verdict_color))
    return lines
