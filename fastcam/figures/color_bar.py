"""The color bar beside a panel of heat, and the numbers at it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from fastcam_kernels import compose, layers
from numpy.typing import NDArray

from fastcam.figures import layout, numbers
from fastcam.figures.figure_texts import TextGlyphs
from fastcam.figures.lettering import Lettering
from fastcam.figures.sheet import NO_IMAGE, BlendTables, Palette, Sheet

_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_FEW_TICKS = (0.0, 1.0)


@lru_cache(maxsize=16)
def _bar_heat(height: int, width: int) -> NDArray[np.float32]:
    """Heat whose rows run from 1 down to 0 in the steps of a colour table.

    At the bar's own size: sampling a column took 0.18 ms a figure, as long as the overlay.
    """
    rows = np.rint(np.linspace(255.0, 0.0, height)) / 255.0
    return np.repeat(rows.astype(np.float32)[:, np.newaxis], width, axis=1)


def draw_bar(
    target: NDArray[np.uint8],
    filters: NDArray[np.uint8] | None,
    colors: BlendTables,
    area: layout.Rect,
) -> None:
    """Draw a bar into ``area`` of a canvas (h, w, 3) uint8 or, with ``filters``, of a PNG's rows.

    ``colors`` are the blend tables of the panel's heat.
    """
    heat = layers.Heat(_bar_heat(area.height, area.width), 0.0, 1.0, *colors)
    compose.panel(
        target,
        (area.x, area.y, area.width, area.height),
        layers.Layers(layers.Image(NO_IMAGE), heat),
        filters,
    )


def ticks_of(
    sheet: Sheet, plan: layout.Layout, lettering: Lettering, palette: Palette
) -> TextGlyphs:
    """The numbers beside the color bars."""
    panels = [panel for row in sheet.rows for panel in row]
    glyphs: TextGlyphs = []
    for panel, area in zip(panels, plan.areas, strict=True):
        if area.bar is not None:
            glyphs += _ticks(panel.limits, area.bar, lettering, palette)
    return glyphs


def _ticks(
    limits: tuple[float, float], bar: layout.Rect, lettering: Lettering, palette: Palette
) -> TextGlyphs:
    low, high = limits
    font = lettering.tick
    glyphs = []
    shares = _TICKS if bar.height > len(_TICKS) * font.height else _FEW_TICKS
    step = (high - low) * shares[1]
    for share in shares:
        text = numbers.tick(low + share * (high - low), max(abs(low), abs(high)), step)
        middle = bar.y + (1.0 - share) * (bar.height - 1)
        y = round(middle - font.ascent * 0.62)
        y = min(max(y, bar.y - font.ascent // 4), bar.y + bar.height - font.ascent)
        glyphs.append(font.glyphs_of(text, bar.x + bar.width + 4, y, palette.caption))
    return glyphs
