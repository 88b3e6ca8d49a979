"""Panels of the views that show maps: the image, a map as heat, and the map over the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from fastcam_kernels import resize
from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.figures import fonts, glyph_atlas, layout
from fastcam.figures.figure_parts import NO_OUTLINES, Outlines, Panel, Sheet
from fastcam.figures.figure_pixels import draw
from fastcam.figures.map_figure import NO_EVIDENCE, map_pair, uniform_note
from fastcam.figures.map_scales import LEAST_HIGH, NEARLY_UNIFORM, MapScale, bounds, is_constant
from fastcam.figures.notebook_figure import Figure
from fastcam.figures.paper import on_paper
from fastcam.figures.render_style import PALETTES, RenderStyle, render_style_of
from fastcam.options import Style

Interpolation = Literal["nearest", "bilinear", "bicubic"]
Limits = tuple[float, float]

_METHODS = {"nearest": resize.NEAREST, "bilinear": resize.BILINEAR, "bicubic": resize.BICUBIC}
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
# A white line is lost on light pictures, so it has a black edge.
_MARK_WIDTH, _MARK_EDGE = 2, 1


@dataclass(frozen=True, eq=False)
class Backdrop:
    """The picture behind the maps of a figure, and how maps are drawn on it.

    Attributes:
        picture: (h, w, 1 or 3) uint8, at most as large as a panel.
        height: rows of a panel.
        width: columns of a panel.
        mark: outlines of the patch whose attention is shown; none where none is selected.
        method: how maps are enlarged: one of ``fastcam_kernels.resize``.
        style: the look of the figure.
    """

    picture: NDArray[np.uint8]
    height: int
    width: int
    mark: Outlines
    method: int
    style: Style


def backdrop_of(
    picture: NDArray[np.uint8],
    grid: tuple[int, int],
    patch: tuple[int, int] | None,
    interpolation: Interpolation,
    style: Style,
    side: int,
) -> Backdrop:
    """``picture`` (h, w, 1 or 3) uint8 for panels whose longer side has ``side`` pixels.

    ``patch`` is the (row, column) on ``grid`` of a patch to be outlined. InputError for an
    interpolation, or a scale of the style, that these figures don't have.
    """
    if interpolation not in _METHODS:
        raise InputError(
            f"--interpolation {interpolation!r} is not known: use "
            f"{', '.join(get_args(Interpolation))}"
        )
    if style.scale not in ("patient", "slice"):
        raise InputError(
            f"--scale {style.scale}: these figures have the scales patient (one for all maps of a "
            "figure) and slice (one for each row)"
        )
    height, width = panel_size(picture, side)
    mark = mark_of(grid, patch, height, width)
    return Backdrop(
        shrunk(picture, height, width), height, width, mark, _METHODS[interpolation], style
    )


def panel_size(picture: NDArray[np.uint8], side: int, pixel_aspect: float = 1.0) -> tuple[int, int]:
    """(height, width) of a panel with the picture's shape whose longer side is ``side``;
    ``pixel_aspect`` is the height of a pixel over its width as they are to be drawn."""
    height, width = layout.stretched(picture.shape[0], picture.shape[1], pixel_aspect)
    scale = side / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def shrunk(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The picture, smoothed and made smaller where it has more pixels than its panel: the kernels
    take single pixels out of it."""
    from PIL import Image

    if picture.shape[0] <= height and picture.shape[1] <= width:
        return picture
    grey = picture.shape[2] == 1
    whole = Image.fromarray(picture[:, :, 0] if grey else picture)
    small = np.asarray(whole.resize((width, height), Image.Resampling.BILINEAR))
    return np.ascontiguousarray(small[:, :, None] if grey else small)


def shown_attention(values: NDArray[np.float32], style: Style) -> NDArray[np.float32]:
    """Attention (..., rows, columns) as multiples of uniform, of each map by itself; raw in
    ``classic``."""
    if style.classic:
        return values
    uniform = values.mean(axis=(-2, -1), keepdims=True, dtype=np.float64)
    multiples: NDArray[np.float32] = np.divide(
        values, uniform, out=np.zeros_like(values), where=uniform > 0, casting="same_kind"
    )
    return multiples


def attention_note(maps: Sequence[NDArray[np.float32]], style: Style) -> str:
    """What a figure says where all of its maps, as :func:`shown_attention` gives them, are all but
    uniform."""
    highest = max(float(values.max()) for values in maps)
    return "" if style.classic or highest >= NEARLY_UNIFORM else uniform_note(highest)


def shared_limits(rows: Sequence[Sequence[NDArray[np.float32]]], style: Style) -> list[Limits]:
    """Limits of each row of attention, as :func:`shown_attention` gives it: 0 and the highest value
    of all rows, at least 2, or with scale ``slice`` of each row by itself. In ``classic`` from the
    lowest value."""
    own = [bounds(np.concatenate([m.ravel() for m in row]), False) for row in rows]
    if not style.classic:
        own = [(0.0, max(LEAST_HIGH, high)) for _, high in own]
    if style.scale == "slice":
        return own
    return [(min(low for low, _ in own), max(high for _, high in own))] * len(own)


def image_panel(backdrop: Backdrop, caption: str = "image") -> Panel:
    """The picture alone."""
    return Panel(
        caption, backdrop.height, backdrop.width, image=backdrop.picture, outlines=backdrop.mark
    )


def map_panels(
    backdrop: Backdrop, caption: str, values: NDArray[np.float32], limits: Limits, bar: bool
) -> tuple[Panel, Panel]:
    """A map of attention (rows, columns) float32, as :func:`shown_attention` gives it, as heat and
    as overlay. ``bar``: the heat has a color bar."""
    if is_constant(values):
        caption = f"{caption}, {NO_EVIDENCE}"
    return map_pair(
        backdrop.picture,
        values,
        MapScale("patient", limits, uniform=None if backdrop.style.classic else 1.0),
        (caption, f"overlay, {caption}"),
        backdrop.height,
        backdrop.width,
        backdrop.style,
        method=backdrop.method,
        bar=bar,
        outlines=backdrop.mark,
    )


def blank_panel(backdrop: Backdrop) -> Panel:
    """Nothing but the background, where a grid of panels has room to spare."""
    return empty_panel(backdrop.height, backdrop.width, backdrop.style)


def empty_panel(height: int, width: int, style: Style) -> Panel:
    """A panel of ``height`` x ``width`` pixels that shows nothing but the background."""
    background = PALETTES[style.theme].background.reshape(1, 1, 3)
    return Panel("", height, width, image=background)


def figure_of_rows(
    title: str, verdict: str, rows: Sequence[Sequence[Panel]], style: Style, note: str = ""
) -> Figure:
    """Rows of panels under a header: ``title`` at the left, ``verdict`` at the right, and ``note``
    below, in smaller letters."""
    panels = [panel for row in rows for panel in row]
    longer = max(max(panel.height, panel.width) for panel in panels)
    characters = glyph_atlas.alphabet([title, verdict, note, *(panel.caption for panel in panels)])
    render_style = render_style_of(style, characters, fonts.chain(characters, style.font), longer)
    sheet = Sheet(
        title, verdict, render_style.palette.caption, tuple(tuple(row) for row in rows), note
    )
    return figure_of_sheet(sheet, render_style)


def figure_of_sheet(sheet: Sheet, render_style: RenderStyle) -> Figure:
    """A figure, with letters for its width on paper where its style has one."""
    shown, fitted, dpi = on_paper(sheet, render_style)
    pixels = draw(shown, fitted.lettering, fitted.palette)
    return Figure(pixels, shown, fitted, dpi)


def titled(title: str, subject: str) -> str:
    """``title · subject``, or one of them where the other is empty."""
    return "  ·  ".join(filter(None, [title, subject]))


def patch_edges(count: int, length: int) -> list[int]:
    """First pixels of ``count`` patches over ``length`` pixels, and the end of the last one, where
    the nearest neighbor changes: pixel i shows patch (2 i + 1) count // (2 length)."""
    return [-((count - 2 * edge * length) // (2 * count)) for edge in range(count + 1)]


def mark_of(
    grid: tuple[int, int], patch: tuple[int, int] | None, height: int, width: int
) -> Outlines:
    """A white frame around the patch at ``patch`` (row, column) of ``grid`` (rows, columns) on a
    panel of ``height`` x ``width`` pixels; none where none is selected."""
    if patch is None:
        return NO_OUTLINES
    (y1, y2), (x1, x2) = (
        patch_edges(count, length)[at : at + 2]
        for at, count, length in zip(patch, grid, (height, width), strict=True)
    )
    # Around the patch, whose own color is to be seen, however small it is.
    reach = [_MARK_WIDTH, _MARK_WIDTH + _MARK_EDGE]
    around = [(x1 - out, y1 - out, x2 + out, y2 + out) for out in reach]
    return Outlines(
        np.array(around, np.int32), np.array([_WHITE, _BLACK], np.uint8), np.array(reach, np.int32)
    )
