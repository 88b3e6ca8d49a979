"""The color bar beside a panel of heat, and the numbers at it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from fastcam_kernels import panel_kernel, panel_layers
from numpy.typing import NDArray

from fastcam.figures import layout
from fastcam.figures.figure_parts import NO_IMAGE, Panel, Sheet
from fastcam.figures.glyph_atlas import Lettering, TextLine
from fastcam.figures.numbers import TickText, tick
from fastcam.figures.render_style import Palette

_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_FEW_TICKS = (0.0, 1.0)
_ENDS_AND_ZERO = (0.0, 0.5, 1.0)
MARK_COLOR = (0, 255, 0)


@lru_cache(maxsize=16)
def _bar_heat(height: int, width: int) -> NDArray[np.float32]:
    """Heat whose rows run from 1 down to 0 in the steps of a color table.

    At the bar's own size: sampling a column took 0.18 ms a figure, as long as the overlay.
    """
    rows = np.rint(np.linspace(255.0, 0.0, height)) / 255.0
    return np.repeat(rows.astype(np.float32)[:, np.newaxis], width, axis=1)


def draw_bar(
    target: NDArray[np.uint8],
    filters: NDArray[np.uint8] | None,
    panel: Panel,
    area: layout.Rect,
    lettering: Lettering,
) -> None:
    """Draw a panel's bar, if it has one, into ``area`` of a canvas (h, w, 3) uint8 or, with
    ``filters``, of a PNG's rows."""
    if panel.bar is None:
        return
    heat = panel_layers.Heat(_bar_heat(area.height, area.width), 0.0, 1.0, panel.bar)
    layers = panel_layers.Layers(panel_layers.Image(NO_IMAGE), heat)
    if panel.bar_zero:
        layers = layers._replace(outlines=_zero_mark(panel.limits, area))
    if panel.bar_mark is not None:
        layers = layers._replace(text=_mark(*panel.bar_mark, panel.limits, area, lettering))
    panel_kernel.panel(target, (area.x, area.y, area.width, area.height), layers, filters)


def _zero_mark(limits: tuple[float, float], area: layout.Rect) -> panel_layers.Outlines:
    """A line across the bar where heat is zero."""
    low, high = limits
    if not low < 0.0 < high:
        return panel_layers.NO_OUTLINES
    thick = max(1, area.width // 8)
    top = round(high / (high - low) * (area.height - 1) - thick / 2)
    boxes = np.array([[0, top, area.width, top + thick]], np.int32)
    return panel_layers.Outlines(boxes, np.zeros((1, 3), np.uint8), np.full(1, thick, np.int32))


def _mark(
    value: float, text: str, limits: tuple[float, float], area: layout.Rect, lettering: Lettering
) -> panel_layers.Text:
    """A line across the bar at ``value``, or at the end that is next to it, and its text."""
    low, high = limits
    share = min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 1.0
    font, thick = lettering.tick, max(2, area.width // 6)
    line = round((1.0 - share) * (area.height - thick))
    # Below the line, or above it at the bar's lower end.
    top = line + thick if line + thick + font.height <= area.height else line - font.height
    wide = font.width(text)
    backgrounds = [(0, line, area.width, line + thick)]
    colors = [MARK_COLOR]
    glyphs = np.zeros((0, 6), np.int32)
    if wide <= area.width and top >= 0:
        backgrounds.append((0, top, area.width, top + font.height))
        colors.append((0, 0, 0))
        glyphs = font.glyphs_of(text, (area.width - wide) // 2, top, MARK_COLOR)
    return panel_layers.Text(
        np.array(backgrounds, np.int32),
        np.array(colors, np.uint8),
        lettering.coverage,
        lettering.boxes,
        glyphs,
    )


def ticks_of(
    sheet: Sheet, plan: layout.Layout, lettering: Lettering, palette: Palette
) -> list[TextLine]:
    """The numbers beside the color bars; none where a notice says that there is nothing to read."""
    panels = [panel for row in sheet.rows for panel in row]
    lines: list[TextLine] = []
    for panel, area in zip(panels, plan.areas, strict=True):
        if area.bar is not None and not panel.notice:
            limits = panel.limits[0] / panel.bar_unit, panel.limits[1] / panel.bar_unit
            lines += _ticks(limits, area.bar, lettering, palette, panel.bar_zero, panel.bar_text)
    return lines


def _ticks(
    limits: tuple[float, float],
    bar: layout.Rect,
    lettering: Lettering,
    palette: Palette,
    zero: bool = False,
    number_text: TickText = tick,
) -> list[TextLine]:
    low, high = limits
    font = lettering.tick
    lines = []
    shares: tuple[float, ...] = _TICKS if bar.height > len(_TICKS) * font.height else _FEW_TICKS
    if zero and shares is _FEW_TICKS and bar.height > 3 * font.height:
        shares = _ENDS_AND_ZERO
    step = (high - low) * shares[1]
    for share in shares:
        text = number_text(low + share * (high - low), max(abs(low), abs(high)), step)
        middle = bar.y + (1.0 - share) * (bar.height - 1)
        y = round(middle - font.ascent * 0.62)
        y = min(max(y, bar.y - font.ascent // 4), bar.y + bar.height - font.ascent)
        lines.append(TextLine(font, text, bar.x + bar.width + 4, y, palette.caption))
    return lines
