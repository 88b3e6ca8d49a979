"""The figure of attention and CAM maps: a row for each map, image | heat | overlay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from fastcam_kernels import colormap, resize
from fastcam_kernels.blend_tables import BlendTables, weighted_tables
from numpy.typing import NDArray

from fastcam.figures import layout, numbers
from fastcam.figures.figure_parts import (
    NO_OUTLINES,
    NO_TINT,
    Outlines,
    Panel,
    Sheet,
)
from fastcam.figures.map_scales import MapScale, map_levels
from fastcam.figures.panel_order import ordered_panels
from fastcam.figures.render_style import RenderStyle, blend_tables, scale_caption
from fastcam.figures.slice_facts import NO_FACTS, SliceFacts
from fastcam.options import Blend, PanelName, Style

DIVERGING_TABLE = "coolwarm"
MASK_COLOR = np.array((255, 0, 0), dtype=np.uint8)
MASK_ALPHA = 0.3
NO_EVIDENCE = "no evidence"
TIMES_UNIFORM = "× uniform"


@dataclass(frozen=True, eq=False)
class Heading:
    """What stands above a figure.

    Attributes:
        title: the text at the left.
        verdict: the text at the right.
        correct: whether the prediction is right, which colors the verdict; None for not known.
    """

    title: str
    verdict: str
    correct: bool | None = None


@dataclass(frozen=True, eq=False)
class MapPicture:
    """One image, or one slice of a volume, as it is shown.

    Attributes:
        image: (h, w, 1 or 3) uint8, grey or RGB.
        mask: (h, w) uint8, not 0 inside; None for none.
        note: added to the image's caption.
        left_side: the letter of the patient's side at the left edge, where it is known.
        name: what the image is called.
        facts: what else is known of a slice of a volume.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8] | None = None
    note: str = ""
    left_side: str = ""
    name: str = "image"
    facts: SliceFacts = NO_FACTS


@dataclass(frozen=True, eq=False)
class MapPanel:
    """One map of a figure: a row of panels.

    Attributes:
        caption: which map it is.
        values: (h, w) float32, raw, over the whole picture and turned as it is.
        scale: what the ends of the color table stand for.
        note: a remark on the map, beside "overlay".
        picture: the image that it lies over, where that isn't the figure's.
    """

    caption: str
    values: NDArray[np.float32]
    scale: MapScale
    note: str = ""
    picture: MapPicture | None = None


def map_sheet(
    heading: Heading,
    picture: MapPicture,
    maps: Sequence[MapPanel],
    render_style: RenderStyle,
    overlay_first: bool = False,
) -> tuple[Sheet, list[tuple[float, float]]]:
    """The figure of one image or slice, and the limits of each of its maps.

    A row is image | heat | overlay, or with ``overlay_first`` image | overlay | heat, or what the
    style says.
    """
    rows, limits = [], []
    for row_map in maps:
        row_picture = row_map.picture or picture
        image_rows, image_columns, _ = row_picture.image.shape
        style = render_style.style
        height, width = layout.enlarged(
            image_rows,
            image_columns,
            style.panel_size,
            style.shown_aspect(row_picture.facts.pixel_aspect),
        )
        row, ends = _row(row_picture, row_map, height, width, render_style)
        image, heat, overlay = ([panel] for panel in row)
        panels: dict[PanelName, list[Panel]] = {"image": image, "heat": heat, "overlay": overlay}
        usual: tuple[PanelName, ...] = ("image", "overlay", "heat") if overlay_first else ()
        rows.append(ordered_panels(panels, render_style.style.panels or usual))
        limits.append(ends)
    color = render_style.palette.verdict(heading.correct)
    note = "" if render_style.style.classic else _uniform_note(maps)
    return Sheet(heading.title, heading.verdict, color, tuple(rows), note), limits


def _uniform_note(maps: Sequence[MapPanel]) -> str:
    """What a figure says where all of its maps are attention that is all but uniform."""
    highest = [row_map.scale.times_uniform or 0.0 for row_map in maps]
    if not maps or not all(row_map.scale.nearly_uniform for row_map in maps):
        return ""
    return uniform_note(max(highest))


def uniform_note(highest: float) -> str:
    """What a figure says of attention that nowhere is more than ``highest`` times uniform."""
    return f"Attention is all but uniform: nowhere more than {highest:.2f} × uniform."


@lru_cache(maxsize=16)
def diverging_tables(alpha: float, blend: Blend) -> BlendTables:
    """The diverging table mixed with an image; ``heat``: the weight grows away from the middle."""
    colors = colormap.table(DIVERGING_TABLE)
    if blend != "heat":
        return blend_tables(DIVERGING_TABLE, alpha, "flat")
    weight = alpha * np.abs(2.0 * np.arange(256) / 255.0 - 1.0)
    return weighted_tables(colors, weight)


def _single_color(table: BlendTables, level: int) -> BlendTables:
    """The table of a map that has one value: all of it is that value's color."""
    color = table.heat_color
    return BlendTables(table.image_weight, np.repeat(color[level : level + 1], len(color), axis=0))


def map_pair(
    image: NDArray[np.uint8],
    values: NDArray[np.float32],
    scale: MapScale,
    captions: tuple[str, str],
    height: int,
    width: int,
    style: Style,
    *,
    method: int = resize.BILINEAR,
    bar: bool = True,
    outlines: Outlines = NO_OUTLINES,
) -> tuple[Panel, Panel]:
    """A map as heat, and over ``image``: two panels of ``height`` x ``width`` pixels.

    ``values`` (h, w) float32, raw, lie over the whole image (h, w, 1 or 3) uint8; ``method`` of
    ``fastcam_kernels.resize`` enlarges them. ``captions`` and ``outlines`` are those of both
    panels; ``bar`` gives the heat a color bar.
    """
    heat_tables = blend_tables(style.colormap, 1.0, "only")
    overlay_tables = blend_tables(style.colormap, style.heat_alpha, style.map_blend)
    if scale.diverging:
        heat_tables = blend_tables(DIVERGING_TABLE, 1.0, "only")
        overlay_tables = diverging_tables(style.heat_alpha, style.map_blend)
    levels, limits = map_levels(scale, values, height, width, method)
    colors = _single_color(heat_tables, int(levels[0, 0])) if scale.constant else heat_tables
    heat = Panel(
        captions[0],
        height,
        width,
        heat=levels,
        limits=limits,
        blend_tables=heat_tables,
        bar=colors if bar else None,
        bar_unit=scale.uniform or 1.0,
        bar_caption=TIMES_UNIFORM if scale.uniform else "",
        bar_zero=scale.diverging and not style.classic,
        bar_text=numbers.classic_tick if style.classic else numbers.tick,
        outlines=outlines,
        notice=NO_EVIDENCE if scale.constant and not style.classic else "",
    )
    overlay = Panel(
        captions[1],
        height,
        width,
        image=image,
        heat=levels,
        limits=limits,
        blend_tables=overlay_tables,
        bar_unit=heat.bar_unit,
        bar_caption=heat.bar_caption,
        bar_zero=heat.bar_zero,
        bar_text=heat.bar_text,
        outlines=outlines,
        notice=heat.notice,
    )
    return heat, overlay


def _row(
    picture: MapPicture, row_map: MapPanel, height: int, width: int, render_style: RenderStyle
) -> tuple[tuple[Panel, Panel, Panel], tuple[float, float]]:
    scale = NO_EVIDENCE if row_map.scale.constant else scale_caption(render_style.style)
    both = row_map.scale.diverging and not row_map.scale.constant
    signs = ", above and below 0" if both and not render_style.style.classic else ""
    facts = NO_FACTS if render_style.style.classic else picture.facts
    image = Panel(
        facts.caption(_image_caption(picture)),
        height,
        width,
        whole_caption=not render_style.style.classic,
        aside=facts.series,
        image=picture.image,
        tint=NO_TINT if picture.mask is None else picture.mask,
        tint_color=MASK_COLOR,
        tint_alpha=MASK_ALPHA,
        left_side=picture.left_side,
        top_side=facts.top_side,
        scale_bar=facts.scale_bar(picture.image.shape[1], width),
    )
    heat, overlay = map_pair(
        picture.image,
        row_map.values,
        row_map.scale,
        (f"{row_map.caption}, {scale}{signs}", "; ".join(filter(None, ["overlay", row_map.note]))),
        height,
        width,
        render_style.style,
    )
    return (image, heat, overlay), heat.limits


def _image_caption(picture: MapPicture) -> str:
    parts = [picture.name]
    if picture.mask is not None:
        parts.append("mask in red")
    if picture.note:
        parts.append(picture.note)
    return ", ".join(parts)
