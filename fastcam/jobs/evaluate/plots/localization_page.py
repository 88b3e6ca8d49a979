"""``localization.png``: do maps lie in their masks, good predictions beside bad, with chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastcam.jobs.evaluate.metrics.localization import (
    GroupLocalization,
    Localization,
    LocalizationSummary,
    compare_groups,
    numbers,
    split_by_good,
)
from fastcam.jobs.evaluate.plots.chance_line import OVER_LINES, chance_line
from fastcam.report.plots import (
    BAD,
    DARK,
    FAINT,
    GOOD,
    dots_and_box,
    frame,
    new_page,
    write_placeholder,
)
from fastcam.report.statistics import rank_sum_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Page

_STRIPS = (
    ("share", "Share of the map inside the mask", "share of the map", "area"),
    ("iou", "Overlap at the best threshold", "intersection over union", "area"),
)


def localization_page(
    localizations: Sequence[Localization],
    good: Sequence[bool | None],
    names: tuple[str, str] = ("good", "bad"),
    note: str = "",
) -> Page:
    """The page, 2100 x 840 pixels as PNG; ``names`` are those of the two groups.

    A dot is an image; a box has the quartiles and the median, its whiskers the 5th and 95th
    percentile. The broken line is chance: the mean area of the masks. ``note`` stands in the title.
    """
    summary = compare_groups(localizations, good)
    groups = [
        [entry for entry in group if entry.share is not None]
        for group in split_by_good(localizations, good)
    ]
    page = new_page(14.0, 5.6, constrained=True)
    measured = f"{summary.measured:,} of {summary.n:,} images measured"
    title = "Does the map lie where it should?" + (f"   {note}" if note else "")
    page.suptitle(
        f"{title}\n{measured}; - - - is chance",
        x=0.012,
        ha="left",
        size=13,
        color=DARK,
        parse_math=False,
    )
    axes = page.subplots(1, 3)
    for panel, strip in zip(axes, _STRIPS, strict=False):
        _strip(panel, summary, groups, names, *strip)
    _pointing(axes[2], summary, names)
    return page


def _strip(
    axes: Axes,
    summary: LocalizationSummary,
    groups: list[list[Localization]],
    names: tuple[str, str],
    measure: str,
    title: str,
    y: str,
    chance: str,
) -> None:
    words = rank_sum_text(summary.tests[measure], [len(group) for group in groups])
    frame(axes, title + (f"\n{words}" if words else "\n"), y=y)
    axes.set_ylim(-0.03, 1.08)
    axes.grid(axis="x", visible=False)
    _name_groups(axes, [len(group) for group in groups], names)
    if not any(groups):
        write_placeholder(axes, "no map could be measured")
    for x, (group, color) in enumerate(zip(groups, (GOOD, BAD), strict=True)):
        dots_and_box(axes, numbers(group, measure), x, color, "o^"[x])
        chance_line(axes, x, numbers(group, chance))


def _pointing(axes: Axes, summary: LocalizationSummary, names: tuple[str, str]) -> None:
    title = "Pointing game\nshare of images whose peak lies inside"
    frame(axes, title, y="share of the images")
    axes.set_ylim(-0.03, 1.08)
    axes.grid(axis="x", visible=False)
    groups: list[GroupLocalization] = [summary.good, summary.bad]
    _name_groups(axes, [group.n for group in groups], names)
    for x, (group, color) in enumerate(zip(groups, (GOOD, BAD), strict=True)):
        if group.hit_rate is None or group.chance_hit_rate is None:
            axes.text(x, 0.5, "none", ha="center", color=FAINT, size=9)
            continue
        axes.bar(x, group.hit_rate, 0.5, color=color, alpha=0.75, zorder=2)
        axes.text(
            x,
            group.hit_rate + 0.02,
            f"{group.hit_rate:.0%}  ({group.hits})",
            ha="center",
            size=10,
            color=DARK,
            zorder=5,
            bbox=OVER_LINES,
        )
        chance_line(axes, x, np.array([group.chance_hit_rate]))


def _name_groups(axes: Axes, counts: Sequence[int], names: tuple[str, str]) -> None:
    axes.set_xlim(-0.6, 1.6)
    axes.set_xticks([0, 1], [f"{n}\nn = {c:,}" for n, c in zip(names, counts, strict=True)])
