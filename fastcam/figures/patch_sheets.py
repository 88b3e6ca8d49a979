"""The four-panel figure of patch attention: slice | mask | heat | overlay with boxes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from fastcam_kernels import heat
from fastcam_kernels.blend import levels_of
from numpy.typing import NDArray

from fastcam.figures import layout, numbers
from fastcam.figures.buffers import Buffers
from fastcam.figures.lettering import Lettering, prepare
from fastcam.figures.patch_scales import CaseScale
from fastcam.figures.sheet import (
    PALETTES,
    BlendTables,
    Outlines,
    Palette,
    Panel,
    Sheet,
    blend_tables,
)
from fastcam.options import Style
from fastcam.read.results.case import Case

TOP_COLOUR = (0, 255, 0)
OTHER_COLOUR = (255, 255, 0)
TOP_WIDTH = 3
OTHER_WIDTH = 1


@dataclass(frozen=True)
class SlicePatches:
    """The patches on one slice.

    Attributes:
        boxes: (n, 4) int32 x1, y1, x2, y2 in the picture's own pixels and inside it.
        weights: (n,) float32.
        heaviest: (n,) their indices by falling weight.
    """

    boxes: NDArray[np.int32]
    weights: NDArray[np.float32]
    heaviest: NDArray[np.intp]


def slice_patches(
    boxes: NDArray[np.int32], weights: NDArray[np.float32], height: int, width: int
) -> SlicePatches:
    """Patches of a picture of ``height`` x ``width`` pixels. A box that sticks out ends at its
    edge; of equal weights the earlier patch comes first."""
    ends = np.array((width, height, width, height), np.int32)
    inside = np.minimum(np.maximum(boxes, 0), ends)
    return SlicePatches(inside, weights, np.argsort(-weights, kind="stable"))


@dataclass(frozen=True)
class SlicePicture:
    """One slice as it is shown, its frame cut out and turned for display.

    Attributes:
        grey: (h, w) uint8.
        mask: (h, w) uint8, 255 inside and 0 outside; None for none.
        mask_notice: why there is no mask; empty where none is asked for.
        patches: those that lie on the slice.
        left_side: the letter of the patient's side at the left edge, where it is known.
    """

    grey: NDArray[np.uint8]
    mask: NDArray[np.uint8] | None
    mask_notice: str
    patches: SlicePatches
    left_side: str = ""


@dataclass(frozen=True)
class RenderStyle:
    """What the style comes to for the kernels; made once for a case.

    Attributes:
        style: the style itself.
        lettering: the glyphs of all texts.
        palette: the colors around the panels.
        heat_tables: the color table alone.
        overlay_tables: the color table mixed with an image.
    """

    style: Style
    lettering: Lettering
    palette: Palette
    heat_tables: BlendTables
    overlay_tables: BlendTables


def render_style_of(
    style: Style, characters: str, fonts: tuple[Path, ...], longer_side: int
) -> RenderStyle:
    """Prepare glyphs and colour tables. ``longer_side`` of the panels, in pixels."""
    return RenderStyle(
        style,
        prepare(characters, fonts, layout.zoom_of(longer_side)),
        PALETTES[style.theme],
        blend_tables(style.colormap, 1.0, "only"),
        blend_tables(style.colormap, style.heat_alpha, style.blend),
    )


def patch_sheet(
    case: Case,
    index: int,
    picture: SlicePicture,
    scale: CaseScale,
    render_style: RenderStyle,
    buffers: Buffers | None = None,
) -> tuple[Sheet, tuple[float, float]]:
    """The figure of one slice of a case, and the limits of its heat.

    With ``buffers`` the heat is theirs: draw the figure before the next one is made.
    """
    buffer = (buffers or Buffers()).take("levels", picture.grey.shape, np.uint8)
    patches, shape = picture.patches, picture.grey.shape
    cells, rows, columns = heat.patch_cells(patches.boxes, patches.weights, *shape)
    values, (low, high) = scale.heat_and_limits(cells)
    levels = heat.spread(levels_of(values, low, high), rows, columns, buffer)
    return _sheet(case, index, picture, levels, (low, high), render_style), (low, high)


def _sheet(
    case: Case,
    index: int,
    picture: SlicePicture,
    levels: NDArray[np.uint8],
    limits: tuple[float, float],
    render_style: RenderStyle,
) -> Sheet:
    style = render_style.style
    rows, columns = picture.grey.shape
    height, width = layout.enlarged(rows, columns, style.panel_size)
    image = picture.grey[:, :, np.newaxis]
    outlines = _outlines(picture, height, width, style.top_k)
    panels = [Panel("slice", height, width, image=image, left_side=picture.left_side)]
    if picture.mask is not None:
        white = picture.mask[:, :, np.newaxis]
        panels.append(Panel("mask", height, width, image=white, image_method=0))
    elif picture.mask_notice:
        panels.append(Panel("mask", height, width, notice=picture.mask_notice))
    panels.append(
        Panel(
            f"attention, scale: {style.scale}",
            height,
            width,
            heat=levels,
            limits=limits,
            blend_tables=render_style.heat_tables,
            bar=render_style.heat_tables,
        )
    )
    panels.append(
        Panel(
            _overlay_caption(len(picture.patches.boxes), style.top_k),
            height,
            width,
            image=image,
            heat=levels,
            limits=limits,
            blend_tables=render_style.overlay_tables,
            outlines=outlines,
        )
    )
    best = "  ·  BEST" if index == case.best_slice else ""
    return Sheet(
        title=f"{case.name}  ·  slice {index:03d}{best}",
        verdict=_verdict(case),
        verdict_colour=render_style.palette.verdict(case.correct),
        rows=(tuple(panels),),
    )


def _verdict(case: Case) -> str:
    prediction = f"predicted {case.predicted_label}  ·  confidence {case.confidence:.4f}"
    if case.correct is None:
        return prediction
    return f"{'correct' if case.correct else 'wrong'}  ·  true {case.true_label}  {prediction}"


def _overlay_caption(patches: int, top_k: int) -> str:
    noun = "patch" if patches == 1 else "patches"
    if top_k == 0 or patches == 0:
        return f"overlay, {patches} {noun}"
    return f"overlay, top {min(top_k, patches)} of {patches} {noun}"


def _outlines(picture: SlicePicture, height: int, width: int, top_k: int) -> Outlines:
    """The ``top_k`` heaviest boxes of the slice, in panel pixels."""
    patches = picture.patches
    chosen = patches.heaviest[:top_k]
    rows, columns = picture.grey.shape
    boxes = _on_panel(patches.boxes[chosen], (columns, rows), (width, height))
    colours, widths = _box_styles(len(chosen))
    texts = tuple(numbers.weight(w) for w in patches.weights[chosen].tolist())
    return Outlines(boxes, colours, widths, texts)


def _on_panel(
    boxes: NDArray[np.int32], size: tuple[int, int], panel: tuple[int, int]
) -> NDArray[np.int32]:
    """Boxes (n, 4) inside a picture of ``size`` (width, height) in the pixels of a ``panel``.

    Halves are rounded down, as the kernel's
    nearest neighbour does, so that lines lie on the heat's edges: pixel i shows the sample at
    (2 i + 1) source / (2 target), so an edge e comes before the first i that is not below it.
    """
    if size == panel:
        return boxes
    source, target = np.array(size * 2, np.int64), np.array(panel * 2, np.int64)
    return (-((source - 2 * boxes * target) // (2 * source))).astype(np.int32)


@lru_cache(maxsize=64)
def _box_styles(count: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Colours (count, 3) and widths (count,) of the heaviest box and those after it."""
    colours = np.full((count, 3), OTHER_COLOUR, dtype=np.uint8)
    widths = np.full(count, OTHER_WIDTH, dtype=np.int32)
    colours[:1], widths[:1] = TOP_COLOUR, TOP_WIDTH
    return colours, widths
