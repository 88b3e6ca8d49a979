"""Pixels of a figure: panels by the fused kernel, and the background and texts around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from fastcam_kernels import margins, panel_kernel, panel_layers, text
from numpy.typing import NDArray

from fastcam.figures import layout
from fastcam.figures.buffers import Buffers
from fastcam.figures.color_bar import draw_bar, ticks_of
from fastcam.figures.figure_parts import Panel, Sheet
from fastcam.figures.figure_texts import texts_of
from fastcam.figures.glyph_atlas import Lettering, TextLine
from fastcam.figures.layout import layout_of
from fastcam.figures.panel_annotations import panel_lines, panel_text
from fastcam.figures.render_style import Palette

# The glyphs (m, 6) int32 of each text: see ``BitmapFont.glyphs_of``.
TextGlyphs = list[NDArray[np.int32]]


def draw(sheet: Sheet, lettering: Lettering, palette: Palette) -> NDArray[np.uint8]:
    """Draw a figure: canvas (height, width, 3) uint8 RGB."""
    plan = layout_of(sheet, lettering)
    canvas = np.empty((plan.height, plan.width, 3), dtype=np.uint8)
    texts = texts_of(sheet, plan, lettering, palette)
    texts += ticks_of(sheet, plan, lettering, palette)
    _margins(canvas, None, plan, _glyphs(texts), lettering, palette, None)
    for panel, area in zip(_panels(sheet), plan.areas, strict=True):
        _panel(canvas, None, panel, area.panel, lettering, None)
        if area.bar is not None:
            draw_bar(canvas, None, panel, area.bar, lettering)
    return canvas


def draw_panel(panel: Panel, lettering: Lettering) -> NDArray[np.uint8]:
    """Draw one panel alone, as it stands on its figure: (height, width, 3) uint8 RGB."""
    canvas = np.empty((panel.height, panel.width, 3), dtype=np.uint8)
    area = layout.Rect(0, 0, panel.width, panel.height)
    _panel(canvas, None, panel, area, lettering, None)
    return canvas


@dataclass(frozen=True, eq=False)
class _RowContents:
    """What the rows of the figure before hold.

    Attributes:
        surround: all that its bars and its background depend on.
        texts: the glyphs of header and captions.
        ticks: the glyphs of the numbers beside its bars.
        marks: what is marked on each of its bars.
        zeros: by panel, see ``panel_kernel.panel``.
    """

    surround: tuple[object, ...]
    texts: TextGlyphs
    ticks: TextGlyphs
    marks: list[tuple[float, str] | None]
    zeros: list[NDArray[np.uint8]]


def draw_rows(
    sheet: Sheet, lettering: Lettering, palette: Palette, buffers: Buffers
) -> NDArray[np.uint8]:
    """Draw a figure as the filtered rows (height, 1 + 3 * width) uint8 of its PNG file.

    The same picture as :func:`draw`, without a pass over a canvas in between. The rows are those
    of ``buffers``: the next figure drawn with them overwrites these. Around the panels only the
    texts are drawn anew that changed since the figure before, if that was a slice of the same case:
    saves 0.3 ms.
    """
    plan = layout_of(sheet, lettering)
    rows = buffers.take("rows", (plan.height, 1 + 3 * plan.width), np.uint8)
    panels = _panels(sheet)
    bars = [
        (panel.limits, id(panel.bar), panel.bar_unit, panel.bar_zero, panel.notice)
        for panel in panels
        if panel.bar is not None
    ]
    surround = (plan, lettering, palette, id(rows), *bars)
    texts = _glyphs(texts_of(sheet, plan, lettering, palette))
    marks = [panel.bar_mark for panel in panels]
    previous: _RowContents | None = buffers.contents
    buffers.contents = None
    if previous is not None and previous.surround == surround and len(previous.texts) == len(texts):
        contents = _RowContents(surround, texts, previous.ticks, marks, previous.zeros)
        _change(rows, plan, previous, contents, lettering, palette)
    else:
        ticks = _glyphs(ticks_of(sheet, plan, lettering, palette))
        contents = _RowContents(
            surround, texts, ticks, marks, [np.zeros(p.height, np.uint8) for p in panels]
        )
        _margins(rows, plan.filters, plan, texts + ticks, lettering, palette, None)
        previous = None
    for number, (panel, area) in enumerate(zip(panels, plan.areas, strict=True)):
        if area.bar is not None and (previous is None or previous.marks[number] != marks[number]):
            draw_bar(rows, plan.filters, panel, area.bar, lettering)
    for panel, area, zeros in zip(panels, plan.areas, contents.zeros, strict=True):
        _panel(rows, plan.filters, panel, area.panel, lettering, zeros)
    buffers.contents = contents
    return rows


def _glyphs(lines: list[TextLine]) -> TextGlyphs:
    return [line.glyphs for line in lines]


def _panels(sheet: Sheet) -> list[Panel]:
    return [panel for row in sheet.rows for panel in row]


def _change(
    rows: NDArray[np.uint8],
    plan: layout.Layout,
    previous: _RowContents,
    contents: _RowContents,
    lettering: Lettering,
    palette: Palette,
) -> None:
    """Draw the texts that differ from those before."""
    for old, new in zip(previous.texts, contents.texts, strict=True):
        if old is not new:  # equal texts at one position are one array
            x1, y1, x2, y2 = text.changed_area(old, new, lettering.boxes)
            if x1 < x2:
                # And the row below, which holds the difference to the last one.
                _margins(
                    rows,
                    plan.filters,
                    plan,
                    contents.texts + contents.ticks,
                    lettering,
                    palette,
                    (x1, y1, x2, y2 + 1),
                )


def _margins(
    target: NDArray[np.uint8],
    filters: NDArray[np.uint8] | None,
    plan: layout.Layout,
    texts: TextGlyphs,
    lettering: Lettering,
    palette: Palette,
    area: tuple[int, int, int, int] | None,
) -> None:
    margins.margins(
        target,
        palette.background,
        plan.holes,
        panel_layers.NO_TEXT._replace(
            coverage=lettering.coverage, atlas=lettering.boxes, glyphs=np.concatenate(texts)
        ),
        filters,
        area,
    )


def _panel(
    target: NDArray[np.uint8],
    filters: NDArray[np.uint8] | None,
    panel: Panel,
    area: layout.Rect,
    lettering: Lettering,
    zeros: NDArray[np.uint8] | None,
) -> None:
    panel_kernel.panel(
        target,
        (area.x, area.y, area.width, area.height),
        panel_layers.Layers(
            panel_layers.Image(panel.image, panel.image_method),
            panel_layers.Heat(panel.heat, *panel.limits, panel.blend_tables, panel.heat_method),
            panel_layers.Tint(panel.tint, panel.tint_color, panel.tint_alpha),
            panel_lines(panel.outlines),
            panel_text(panel, lettering),
        ),
        filters,
        zeros,
    )
