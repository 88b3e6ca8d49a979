"""The figure of attention and CAM maps: a row for each map, image | heat | overlay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from fastcam_kernels import colormap, resize
from numpy.typing import NDArray

from fastcam.figures import layout
from fastcam.figures.map_scales import MapScale, map_levels
from fastcam.figures.patch_sheets import RenderStyle
from fastcam.figures.sheet import NO_OUTLINES, NO_TINT, Outlines, Paint, Panel, Sheet, paint
from fastcam.options import Blend, Style

DIVERGING_TABLE = "coolwarm"
MASK_COLOUR = np.array((255, 0, 0), dtype=np.uint8)
MASK_ALPHA = 0.3
NO_EVIDENCE = "no evidence"


@dataclass(frozen=True, eq=False)
class Heading:
    """What stands above a figure. ``correct`` is None where it is not known."""

    title: str
    verdict: str
    correct: bool | None = None


@dataclass(frozen=True, eq=False)
class MapPicture:
    """One image, or one slice of a volume, as it is shown.

    ``image`` (h, w, 1 or 3) uint8, grey or RGB; ``mask`` (h, w) uint8, not 0 inside, or None;
    ``note`` is added to the image's caption; ``left_side`` is the patient's side at the left edge.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8] | None = None
    note: str = ""
    left_side: str = ""


@dataclass(frozen=True, eq=False)
class ShownMap:
    """One map: ``cells`` (h, w) float32, raw, over the whole picture and turned as it is; ``note``:
    what has to be said of it, beside "overlay"."""

    caption: str
    cells: NDArray[np.float32]
    scale: MapScale
    note: str = ""


def map_sheet(
    heading: Heading,
    picture: MapPicture,
    maps: Sequence[ShownMap],
    render_style: RenderStyle,
    overlay_first: bool = False,
) -> tuple[Sheet, list[tuple[float, float]]]:
    """The figure of one image or slice, and the limits of each of its maps.

    A row is image | heat | overlay, or with ``overlay_first`` image | overlay | heat.
    """
    rows_there, columns_there, _ = picture.image.shape
    height, width = layout.enlarged(rows_there, columns_there, render_style.style.panel_size)
    rows, limits = [], []
    for shown in maps:
        row, ends = _row(picture, shown, height, width, render_style)
        rows.append((row[0], row[2], row[1]) if overlay_first else row)
        limits.append(ends)
    colours = render_style.palette
    known = colours.right if heading.correct else colours.wrong
    colour = colours.caption if heading.correct is None else known
    return Sheet(heading.title, heading.verdict, colour, tuple(rows)), limits


@lru_cache(maxsize=16)
def diverging_paint(alpha: float, blend: Blend) -> Paint:
    """The diverging table mixed with an image; ``heat``: the weight grows away from the middle."""
    colours = colormap.table(DIVERGING_TABLE)
    if blend == "flat":
        return paint(DIVERGING_TABLE, alpha, "flat")
    weight = alpha * np.abs(2.0 * np.arange(256) / 255.0 - 1.0)
    return (1.0 - weight).astype(np.float32), (weight[:, None] * colours).astype(np.float32)


def _one_colour(table: Paint, level: int) -> Paint:
    """The table of a map that has one value: all of it is that value's colour."""
    weight, colour = table
    return weight, np.repeat(colour[level : level + 1], len(colour), axis=0)


def map_pair(
    image: NDArray[np.uint8],
    cells: NDArray[np.float32],
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

    ``cells`` (h, w) float32, raw, over the whole image (h, w, 1 or 3) uint8; ``method`` enlarges
    them. ``captions`` of both panels; ``bar``: the heat has a colour bar; ``outlines`` on both.
    """
    heat_paint = paint(style.colormap, 1.0, "only")
    overlay_paint = paint(style.colormap, style.heat_alpha, style.blend)
    if scale.diverging:
        heat_paint = paint(DIVERGING_TABLE, 1.0, "only")
        overlay_paint = diverging_paint(style.heat_alpha, style.blend)
    levels, limits = map_levels(scale, cells, height, width, method)
    colours = _one_colour(heat_paint, int(levels[0, 0])) if scale.constant else heat_paint
    heat = Panel(
        captions[0], height, width, heat=levels, limits=limits, paint=heat_paint,
        bar=colours if bar else None, outlines=outlines,
    )  # fmt: skip
    overlay = Panel(
        captions[1], height, width, image=image, heat=levels, limits=limits, paint=overlay_paint,
        outlines=outlines,
    )  # fmt: skip
    return heat, overlay


def _row(
    picture: MapPicture, shown: ShownMap, height: int, width: int, render_style: RenderStyle
) -> tuple[tuple[Panel, Panel, Panel], tuple[float, float]]:
    said = NO_EVIDENCE if shown.scale.constant else f"scale: {render_style.style.scale}"
    image = Panel(
        _image_caption(picture), height, width, image=picture.image,
        tint=NO_TINT if picture.mask is None else picture.mask,
        tint_colour=MASK_COLOUR, tint_alpha=MASK_ALPHA, left_side=picture.left_side,
    )  # fmt: skip
    heat, overlay = map_pair(
        picture.image, shown.cells, shown.scale,
        (f"{shown.caption}, {said}", "; ".join(filter(None, ["overlay", shown.note]))),
        height, width, render_style.style,
    )  # fmt: skip
    return (image, heat, overlay), heat.limits


def _image_caption(picture: MapPicture) -> str:
    parts = ["image"]
    if picture.mask is not None:
        parts.append("mask in red")
    if picture.note:
        parts.append(picture.note)
    return ", ".join(parts)
