"""The figure of attention and CAM maps: a row for each map, image | heat | overlay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from fastcam_kernels import colormap
from numpy.typing import NDArray

from fastcam.figures import layout
from fastcam.figures.mapscales import MapScale, map_levels
from fastcam.figures.patches import Look
from fastcam.figures.sheet import NO_TINT, Paint, Panel, Sheet, paint
from fastcam.spec import Blend

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
    """One map: ``cells`` (h, w) float32, raw, over the whole picture and turned as it is."""

    caption: str
    cells: NDArray[np.float32]
    scale: MapScale


def map_sheet(
    heading: Heading, picture: MapPicture, maps: Sequence[ShownMap], look: Look
) -> tuple[Sheet, list[tuple[float, float]]]:
    """The figure of one image or slice, and the limits of each of its maps."""
    rows_there, columns_there, _ = picture.image.shape
    height, width = layout.enlarged(rows_there, columns_there, look.style.panel_size)
    rows, limits = [], []
    for shown in maps:
        row, ends = _row(picture, shown, height, width, look)
        rows.append(row)
        limits.append(ends)
    colours = look.palette
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


def _row(
    picture: MapPicture, shown: ShownMap, height: int, width: int, look: Look
) -> tuple[tuple[Panel, ...], tuple[float, float]]:
    style, scale = look.style, shown.scale
    heat_paint, overlay_paint = look.heat_paint, look.overlay_paint
    if scale.diverging:
        heat_paint = paint(DIVERGING_TABLE, 1.0, "only")
        overlay_paint = diverging_paint(style.heat_alpha, style.blend)
    levels, limits = map_levels(scale, shown.cells, height, width)
    said = NO_EVIDENCE if scale.constant else f"scale: {style.scale}"
    bar = _one_colour(heat_paint, int(levels[0, 0])) if scale.constant else heat_paint
    image = Panel(
        _image_caption(picture), height, width, image=picture.image,
        tint=NO_TINT if picture.mask is None else picture.mask,
        tint_colour=MASK_COLOUR, tint_alpha=MASK_ALPHA, left_side=picture.left_side,
    )  # fmt: skip
    heat = Panel(
        f"{shown.caption}, {said}", height, width,
        heat=levels, limits=limits, paint=heat_paint, bar=bar,
    )  # fmt: skip
    overlay = Panel(
        "overlay", height, width,
        image=picture.image, heat=levels, limits=limits, paint=overlay_paint,
    )  # fmt: skip
    return (image, heat, overlay), limits


def _image_caption(picture: MapPicture) -> str:
    parts = ["image"]
    if picture.mask is not None:
        parts.append("mask in red")
    if picture.note:
        parts.append(picture.note)
    return ", ".join(parts)
