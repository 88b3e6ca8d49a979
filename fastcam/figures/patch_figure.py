"""The four-panel figure of patch attention: slice | mask | heat | overlay with boxes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from fastcam_kernels import heat
from fastcam_kernels.blend import levels_of
from fastcam_kernels.blend_tables import BlendTables
from numpy.typing import NDArray

from fastcam.figures import layout, numbers
from fastcam.figures.buffers import Buffers
from fastcam.figures.figure_parts import Outlines, Panel, Sheet
from fastcam.figures.map_scales import NEARLY_UNIFORM, is_range_constant
from fastcam.figures.panel_order import ordered_panels
from fastcam.figures.patch_scales import CaseScale
from fastcam.figures.render_style import RenderStyle, blend_tables, scale_caption
from fastcam.figures.slice_facts import NO_FACTS, SliceFacts
from fastcam.options import PanelName, Scale, Style
from fastcam.read.results.case import Case

TOP_COLOR = (0, 255, 0)
OTHER_COLOR = (255, 255, 0)
# Of the heat where no patch lies: nobody looked there, which is not the same as a weight of 0.
WITHOUT_PATCH = (40, 40, 40)
TOP_WIDTH = 3
OTHER_WIDTH = 1
# On the heat. The header says why: it is there without a heat panel, too.
_NO_EVIDENCE = "no evidence"
_BAR_CAPTIONS: dict[Scale, str] = {
    "slice": "weight",
    "patient": "weight",
    "cohort": "weight",
    "rank": "rank",
}


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

    @cached_property
    def highest(self) -> float:
        """The highest weight; 0 without patches."""
        return float(self.weights[self.heaviest[0]]) if len(self.weights) else 0.0


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
        facts: what else is known of the slice.
        note: added to the slice's caption.
    """

    grey: NDArray[np.uint8]
    mask: NDArray[np.uint8] | None
    mask_notice: str
    patches: SlicePatches
    left_side: str = ""
    facts: SliceFacts = NO_FACTS
    note: str = ""


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
    cells = heat.patch_cells(patches.boxes, patches.weights, *shape)
    values, (low, high) = scale.heat_and_limits(cells.heat)
    cell_levels = levels_of(values, low, high)
    if not render_style.style.classic:
        # 0 is where nothing was looked at: there is no patch.
        cell_levels[(cells.boxes > 0) & (cell_levels == 0)] = 1
    levels = heat.spread(cell_levels, cells.rows, cells.columns, buffer)
    # Where patches overlap, heat is their mean, and may stay below the weight of the highest.
    is_mean = patches.highest > float(cells.heat.max()) * (1 + 1e-6)
    sheet = _sheet(case, index, picture, levels, (low, high), render_style, is_mean)
    return sheet, (low, high)


@lru_cache(maxsize=16)
def _patch_tables(name: str) -> BlendTables:
    """A color table alone, with grey where there is no patch."""
    tables = blend_tables(name, 1.0, "only")
    colors = tables.heat_color.copy()
    colors[0] = WITHOUT_PATCH
    return replace(tables, heat_color=colors)


def _sheet(
    case: Case,
    index: int,
    picture: SlicePicture,
    levels: NDArray[np.uint8],
    limits: tuple[float, float],
    render_style: RenderStyle,
    is_mean: bool,
) -> Sheet:
    style = render_style.style
    rows, columns = picture.grey.shape
    height, width = layout.enlarged(
        rows, columns, style.panel_size, style.shown_aspect(picture.facts.pixel_aspect)
    )
    image = picture.grey[:, :, np.newaxis]
    outlines = _outlines(picture, height, width, style, _span(case, limits, style))
    facts = NO_FACTS if style.classic else picture.facts
    panels: dict[PanelName, list[Panel]] = {}
    panels["image"] = [
        Panel(
            facts.caption(", ".join(filter(None, ["slice", picture.note]))),
            height,
            width,
            whole_caption=not style.classic,
            aside=facts.series,
            image=image,
            left_side=picture.left_side,
            top_side=facts.top_side,
            scale_bar=facts.scale_bar(columns, width),
        )
    ]
    if picture.mask is not None:
        white = picture.mask[:, :, np.newaxis]
        panels["mask"] = [Panel("mask", height, width, image=white, image_method=0)]
    elif picture.mask_notice:
        panels["mask"] = [Panel("mask", height, width, notice=picture.mask_notice)]
    panels["heat"] = [
        Panel(
            _heat_caption(style, outlines, is_mean),
            height,
            width,
            heat=levels,
            limits=limits,
            blend_tables=render_style.heat_tables
            if style.classic
            else _patch_tables(style.colormap),
            bar=render_style.heat_tables,
            bar_caption="" if style.classic else _BAR_CAPTIONS[style.scale],
            bar_mark=_bar_mark(picture.patches, style),
            bar_text=numbers.classic_tick if style.classic else numbers.tick,
            notice=_NO_EVIDENCE if _without_evidence(case) and not style.classic else "",
        )
    ]
    panels["overlay"] = [
        Panel(
            _overlay_caption(case, picture.patches, style),
            height,
            width,
            image=image,
            heat=levels,
            limits=limits,
            blend_tables=render_style.overlay_tables,
            outlines=outlines,
        )
    ]
    is_best = index == case.best_slice and (style.classic or not _without_evidence(case))
    title = f"{case.name}  ·  {facts.index_text(index, style.classic)}"
    return Sheet(
        title=f"{title}  ·  BEST" if is_best else title,
        verdict=_verdict(case, style),
        verdict_color=render_style.palette.verdict(case.correct),
        rows=(ordered_panels(panels, style.panels),),
        note="" if style.classic else uniform_note(case),
    )


def _heat_caption(style: Style, outlines: Outlines, is_mean: bool) -> str:
    """``is_mean``: the highest patch of the slice shares all of its pixels with others."""
    name = "attention"
    if is_mean and not style.classic:
        highest = f" ({outlines.texts[0]})" if outlines.texts else ""
        name = f"attention, overlap mean{highest}"
    return f"{name}, {scale_caption(style)}"


def _bar_mark(patches: SlicePatches, style: Style) -> tuple[float, str] | None:
    """The weight of the slice's heaviest patch on the bar, with the number of its box."""
    if style.classic or style.scale == "rank" or not len(patches.weights) or style.top_k == 0:
        return None
    return patches.highest, "1"


def _span(case: Case, limits: tuple[float, float], style: Style) -> float:
    """The largest number that weights are shown beside: the bar's, or where it has ranks theirs."""
    return limits[1] if style.scale != "rank" else case.highest_weight


def times_uniform(case: Case) -> float:
    """The highest weight of a case as a multiple of the mean of its weights; 1 for none."""
    return case.highest_weight / case.mean_weight if case.mean_weight > 0 else 1.0


def uniform_note(case: Case) -> str:
    """What a figure says of attention that is uniform over a case, or all but; else empty."""
    if case.weights.size < 2:
        return ""
    if _without_evidence(case):
        return "No evidence: every patch of this case weighs the same."
    highest = times_uniform(case)
    if highest >= NEARLY_UNIFORM:
        return ""
    return (
        f"Attention is all but uniform over this case: no patch has more than {highest:.2f} times "
        "the mean weight."
    )


def _without_evidence(case: Case) -> bool:
    """Whether no patch is told from another."""
    return case.weights.size != 1 and is_range_constant(case.lowest_weight, case.highest_weight)


def _verdict(case: Case, style: Style) -> str:
    predicted = style.class_text(case.predicted_label)
    prediction = f"predicted {predicted}  ·  confidence {case.confidence:.4f}"
    if case.correct is None or case.true_label is None:
        return prediction
    true = style.class_text(case.true_label)
    return f"{'correct' if case.correct else 'wrong'}  ·  true {true}  {prediction}"


def _overlay_caption(case: Case, patches: SlicePatches, style: Style) -> str:
    count = len(patches.boxes)
    noun = "patch" if count == 1 else "patches"
    if style.top_k == 0 or count == 0:
        return f"overlay, {count} {noun}"
    caption = f"overlay, top {min(style.top_k, count)} of {count} {noun}"
    if style.classic or case.weights.size < 2 or patches.highest <= 0.0:
        return caption
    return f"{caption}, up to {patches.highest / case.mean_weight:.3g} × uniform"


def _outlines(
    picture: SlicePicture, height: int, width: int, style: Style, span: float
) -> Outlines:
    """The ``top_k`` heaviest boxes of the slice, in panel pixels; ``span`` of their numbers."""
    patches = picture.patches
    heaviest = patches.heaviest[: style.top_k]
    rows, columns = picture.grey.shape
    boxes = _on_panel(patches.boxes[heaviest], (columns, rows), (width, height))
    colors, widths = _box_styles(len(heaviest))
    weights = patches.weights[heaviest].tolist()
    if style.classic:
        texts = tuple(numbers.classic_weight(weight) for weight in weights)
        return Outlines(boxes, colors, widths, texts)
    numbered = tuple(
        f"{rank}: {numbers.weight(weight, span)}" for rank, weight in enumerate(weights, 1)
    )
    return Outlines(boxes, colors, widths, numbered, whole_lines=1)


def _on_panel(
    boxes: NDArray[np.int32], size: tuple[int, int], panel: tuple[int, int]
) -> NDArray[np.int32]:
    """Boxes (n, 4) inside a picture of ``size`` (width, height) in the pixels of a ``panel``.

    Halves are rounded down, as the kernel's
    nearest neighbor does, so that lines lie on the heat's edges: pixel i shows the sample at
    (2 i + 1) source / (2 target), so an edge e comes before the first i that is not below it.
    """
    if size == panel:
        return boxes
    source, target = np.array(size * 2, np.int64), np.array(panel * 2, np.int64)
    return (-((source - 2 * boxes * target) // (2 * source))).astype(np.int32)


@lru_cache(maxsize=64)
def _box_styles(count: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Colors (count, 3) and widths (count,) of the heaviest box and those after it."""
    colors = np.full((count, 3), OTHER_COLOR, dtype=np.uint8)
    widths = np.full(count, OTHER_WIDTH, dtype=np.int32)
    colors[:1], widths[:1] = TOP_COLOR, TOP_WIDTH
    return colors, widths
