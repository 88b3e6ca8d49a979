"""Plots of a detector's test set: scores of the explained boxes, and where their maps lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastcam.jobs.evaluate.detection_cases import DetectedCase
from fastcam.jobs.evaluate.metrics.detection import TargetMetrics
from fastcam.jobs.evaluate.plots.chance_line import OVER_LINES, chance_line
from fastcam.report.plots import (
    BLUE,
    DARK,
    FAINT,
    GOOD,
    dots_and_box,
    frame,
    new_page,
    write_placeholder,
    write_remark,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Page

# More targets than these can't be named below a plot.
_MOST_TARGETS = 8
_PARTS = (("box", BLUE, "o"), ("mask", GOOD, "^"))


def detection_page(
    cases: Sequence[DetectedCase], targets: Sequence[TargetMetrics], remark: str = ""
) -> Page:
    """``evaluation_results.png``: scores, share of the map inside the box and the mask, and the
    pointing game, by target; a dot an image that has such a box.

    The broken line is chance: the mean area of boxes or masks. ``remark`` stands above. Of more
    than 8 targets the first 8 are drawn.
    """
    drawn = targets[:_MOST_TARGETS]
    parts = _PARTS if "share_inside_mask" in drawn[0].metrics else _PARTS[:1]
    strips = [(number, part) for number in range(len(drawn)) for part in parts]
    page = new_page(max(14.0, 1.1 * 3 * len(strips)), 5.8, constrained=True)
    write_remark(page, remark)
    scores, shares, peaks = page.subplots(1, 3)
    left_out = f", the first {len(drawn)} of {len(targets)}" if len(drawn) < len(targets) else ""
    inside = " and the mask" if len(parts) > 1 else ""
    frame(scores, f"Score of the explained box{left_out}\n", y="score")
    frame(shares, f"Share of the map inside the box{inside}\n- - - is chance", y="share of the map")
    title = "Pointing game\nshare of the images with the map's peak inside"
    frame(peaks, title, y="share of the images")
    names = [f"{e.target}\nin {e.boxes:,} of {e.boxes + e.missing:,}" for e in drawn]
    _axis(scores, names)
    _axis(shares, [_strip_name(drawn[number], part[0]) for number, part in strips])
    _axis(peaks, [_strip_name(drawn[number], part[0]) for number, part in strips])
    for x, _ in enumerate(drawn):
        dots_and_box(scores, _numbers(cases, x, "score"), x, BLUE, "o")
    if not any(entry.boxes for entry in drawn):
        write_placeholder(scores, "no image has such a box")
    for x, (number, (name, color, marker)) in enumerate(strips):
        dots_and_box(shares, _numbers(cases, number, f"share_inside_{name}"), x, color, marker)
        chance_line(shares, x, _numbers(cases, number, f"{name}_area"))
        _bar(peaks, x, _numbers(cases, number, f"peak_inside_{name}"), color)
        chance_line(peaks, x, _numbers(cases, number, f"{name}_area"))
    return page


def _strip_name(target: TargetMetrics, name: str) -> str:
    return f"{target.target}\nin the {name}"


def _axis(axes: Axes, names: Sequence[str]) -> None:
    axes.set_ylim(-0.03, 1.08)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.grid(axis="x", visible=False)
    axes.set_xticks(range(len(names)), names)


def _numbers(cases: Sequence[DetectedCase], number: int, name: str) -> NDArray[np.float64]:
    """The values of a metric, of the ``number``-th target's boxes that have one."""
    boxes = [case.boxes[number] for case in cases]
    values = [box.numbers()[name] for box in boxes if box is not None]
    return np.array([value for value in values if value is not None], np.float64)


def _bar(axes: Axes, x: int, hits: NDArray[np.float64], color: str) -> None:
    if not hits.size:
        axes.text(x, 0.5, "none", ha="center", color=FAINT, size=9)
        return
    share = float(hits.mean())
    axes.bar(x, share, 0.5, color=color, alpha=0.75, zorder=2)
    text = f"{share:.0%}  ({int(hits.sum())})"
    axes.text(x, share + 0.02, text, ha="center", size=10, color=DARK, zorder=5, bbox=OVER_LINES)
