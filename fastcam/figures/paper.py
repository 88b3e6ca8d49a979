"""A figure on paper: letters that can be read at its width, and the pixels an inch that follow."""

from __future__ import annotations

import math
from dataclasses import replace

from fastcam.errors import InputError
from fastcam.figures.figure_parts import Panel, Sheet
from fastcam.figures.layout import layout_of, row_ranges
from fastcam.figures.render_style import RenderStyle
from fastcam.figures.short_labels import with_short_labels

# What journals ask for at least.
LEAST_POINTS = 7.0
POINTS_PER_INCH, MM_PER_INCH = 72.0, 25.4
# Of a figure of several pictures, in mm: those of few pixels are small anyway.
_LEAST_PICTURE, _LEAST_PIXEL = 20.0, 0.1
_LARGEST_LETTERS = 8.0


def on_paper(sheet: Sheet, render_style: RenderStyle) -> tuple[Sheet, RenderStyle, float | None]:
    """A figure as it is drawn, how, and the pixels an inch of its file; None for no word of them.

    Without a width on paper all are as they were given. With one, all pixels go on that width, and
    letters grow until the smallest have 7 points, or as many times that as the style's
    ``font_scale`` says. Where that leaves hardly room for the pictures, fewer stand beside each
    other, and the others below; where labels would cover them, boxes have numbers. InputError where
    even one has none.
    """
    width = render_style.style.paper_width
    if width is None:
        return sheet, render_style, render_style.style.file_dpi
    found: tuple[Sheet, RenderStyle, float] | None = None
    for most in range(max(len(row) for row in sheet.rows), 0, -1):
        broken = _broken(sheet, most)
        fitted = _with_letters(broken, render_style, width)
        if fitted is not None and not render_style.style.classic:
            broken = with_short_labels(broken, fitted[0].lettering)
            fitted = _with_letters(broken, fitted[0], width)
        if fitted is None:
            continue
        found = broken, *fitted
        widest = max(panel.width for row in sheet.rows for panel in row)
        if widest * MM_PER_INCH / fitted[1] >= min(_LEAST_PICTURE, widest * _LEAST_PIXEL):
            break
    if found is not None:
        return found
    raise InputError(
        f"--width-mm {width:g}: leaves no room for letters of {_points(render_style):g} points; "
        "give a larger width, or a smaller --panel-size or --font-scale"
    )


def _points(render_style: RenderStyle) -> float:
    """How many points the smallest letters have at least."""
    return LEAST_POINTS * max(1.0, render_style.style.font_scale)


def _broken(sheet: Sheet, most: int) -> Sheet:
    """A figure whose rows have ``most`` panels at most: longer ones go on in the next. Places that
    were left free to keep columns in line are not then."""
    if most >= max(len(row) for row in sheet.rows):
        return sheet
    filled = [[panel for panel in row if not _is_blank(panel)] for row in sheet.rows]
    rows = [
        tuple(row[part.start : part.stop])
        for row in filled
        if row
        for part in row_ranges(len(row), most)
    ]
    return replace(sheet, rows=tuple(rows) or sheet.rows)


def _is_blank(panel: Panel) -> bool:
    """Whether a panel is nothing but the background."""
    return not panel.caption and panel.image.shape[:2] == (1, 1) and not len(panel.heat)


def _with_letters(
    sheet: Sheet, render_style: RenderStyle, width: float
) -> tuple[RenderStyle, float] | None:
    """Letters of 7 points at least on a ``width`` in mm, as many times larger as the style asks
    for, and the pixels an inch; None where they would be larger than anything else."""
    scale = render_style.lettering.scale
    least = _points(render_style)
    while scale <= _LARGEST_LETTERS * least / LEAST_POINTS:
        plan = layout_of(sheet, render_style.lettering)
        dpi = plan.width * MM_PER_INCH / width
        points = render_style.lettering.tick.size * POINTS_PER_INCH / dpi
        if points >= least:
            return render_style, dpi
        # In steps, so that the figures of a run share their glyphs.
        scale = math.ceil(20 * scale * max(1.01, least / points)) / 20
        render_style = render_style.with_letters(scale)
    return None
