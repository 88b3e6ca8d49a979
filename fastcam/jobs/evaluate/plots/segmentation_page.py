"""Plots of a segmentation's test set: overlap, surface distances and maps by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastcam.jobs.evaluate.metrics.segmentation import ClassMetrics
from fastcam.jobs.evaluate.segmentation_cases import SegmentedCase
from fastcam.report.plots import (
    BLUE,
    DARK,
    FAINT,
    dots_and_box,
    drawable_text,
    frame,
    new_page,
    shorten_name,
    write_placeholder,
    write_remark,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Page

# More classes than these can't be named below a plot.
_MOST_CLASSES = 20


def segmentation_page(
    segmented: Sequence[SegmentedCase],
    metrics: Sequence[ClassMetrics],
    unit: str,
    remark: str = "",
) -> Page:
    """``evaluation_results.png``: a dot an image, a box a class.

    Distances are in ``unit``; ``remark`` stands above. Of more than 20 classes the first 20 are
    drawn.
    """
    drawn = metrics[:_MOST_CLASSES]
    page = new_page(max(17.5, 0.9 * 3 * len(drawn)), 6.4, constrained=True)
    write_remark(page, remark)
    dice, distance, share = page.subplots(1, 3)
    left_out = f"   the first {len(drawn)} of {len(metrics)} classes"
    note = left_out if len(drawn) < len(metrics) else ""
    frame(dice, f"Dice coefficient{note}", y="Dice")
    frame(distance, f"95th percentile Hausdorff distance{note}", y=f"HD95 ({unit})")
    frame(share, f"Share of the map inside the class's mask, - - - is chance{note}", y="share")
    overlaps = [[case.overlaps[place] for case in segmented] for place in range(len(drawn))]
    _strips(dice, drawn, [_numbers([e.dice for e in of]) for of in overlaps], top=1.0)
    _strips(distance, drawn, [_numbers([e.hausdorff95 for e in of]) for of in overlaps])
    maps = [
        [c.localizations[m.label] for c in segmented if m.label in c.localizations] for m in drawn
    ]
    _strips(share, drawn, [_numbers([e.share for e in of]) for of in maps], top=1.0)
    for x, of_class in enumerate(maps):
        areas = _numbers([entry.area for entry in of_class])
        if areas.size:
            share.hlines(
                float(areas.mean()), x - 0.4, x + 0.4, color=DARK, linestyles=(0, (4, 3)), zorder=4
            )
    for axes, metric in ((dice, "dice"), (distance, "hausdorff95")):
        _means(axes, drawn, metric)
    return page


def _numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([value for value in values if value is not None], np.float64)


def _strips(
    axes: Axes,
    metrics: Sequence[ClassMetrics],
    values: Sequence[NDArray[np.float64]],
    top: float | None = None,
) -> None:
    """The values of each class above its name, 0 to ``top`` or to the highest."""
    highest = max((float(of.max()) for of in values if of.size), default=1.0) or 1.0
    axes.set_ylim(-0.03 * (top or highest), 1.08 * (top or highest))
    axes.grid(axis="x", visible=False)
    axes.set_xlim(-0.6, len(metrics) - 0.4)
    names = [f"{shorten_name(entry.name, 18)}\nin {entry.present}" for entry in metrics]
    turned = len(metrics) > _MOST_CLASSES // 3
    axes.set_xticks(range(len(names)), names, rotation=60 if turned else 0)
    for label, text in zip(axes.get_xticklabels(), names, strict=True):
        drawable, font = drawable_text(text)
        label.set_text(drawable)
        label.set_fontproperties(font)
        label.set_fontsize(9)
    if not any(of.size for of in values):
        write_placeholder(axes, "nothing could be measured")
        return
    for x, of in enumerate(values):
        dots_and_box(axes, of, x, BLUE, "o")


def _means(axes: Axes, metrics: Sequence[ClassMetrics], name: str) -> None:
    """Each class's mean and the interval of it, beside its box."""
    for x, entry in enumerate(metrics):
        estimate = entry.metrics[name]
        if estimate.value is None:
            continue
        if estimate.low is not None and estimate.high is not None:
            axes.plot([x + 0.3, x + 0.3], [estimate.low, estimate.high], color=DARK, linewidth=2.0)
        axes.plot([x + 0.3], [estimate.value], "D", color=DARK, markersize=5, zorder=5)
        axes.annotate(
            f"{estimate.value:.2f}",
            (x + 0.3, estimate.value),
            (6, -3),
            textcoords="offset points",
            size=8.5,
            color=FAINT if estimate.low is None else DARK,
            annotation_clip=False,
        )
