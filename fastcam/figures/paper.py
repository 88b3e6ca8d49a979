"""A figure on paper: letters that can be read at its width, and the pixels an inch that follow."""

from __future__ import annotations

import math

from fastcam.errors import InputError
from fastcam.figures.figure_parts import Sheet
from fastcam.figures.layout import layout_of
from fastcam.figures.render_style import RenderStyle

# What journals ask for at least.
LEAST_POINTS = 7.0
POINTS_PER_INCH, MM_PER_INCH = 72.0, 25.4
_LARGEST_LETTERS = 8.0


def on_paper(sheet: Sheet, render_style: RenderStyle) -> tuple[RenderStyle, float | None]:
    """How a figure is drawn, and the pixels an inch of its file; None for no word of them.

    Without a width on paper both are as the style says. With one, all pixels go on that width, and
    letters grow until the smallest have 7 points. InputError where that leaves hardly room for
    anything else.
    """
    width = render_style.style.paper_width
    if width is None:
        return render_style, render_style.style.file_dpi
    scale = render_style.lettering.scale
    while scale <= _LARGEST_LETTERS:
        plan = layout_of(sheet, render_style.lettering)
        dpi = plan.width * MM_PER_INCH / width
        points = render_style.lettering.tick.size * POINTS_PER_INCH / dpi
        if points >= LEAST_POINTS:
            return render_style, dpi
        # In steps, so that the figures of a run share their glyphs.
        scale = math.ceil(20 * scale * max(1.01, LEAST_POINTS / points)) / 20
        render_style = render_style.with_letters(scale)
    count = max(len(row) for row in sheet.rows)
    raise InputError(
        f"--width-mm {width:g}: {count} panels beside each other leave no room for letters of "
        f"{LEAST_POINTS:g} points; give a larger width, fewer --panels, or a smaller --panel-size"
    )
