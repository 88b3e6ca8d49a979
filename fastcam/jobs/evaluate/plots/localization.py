"""``localisation.png``: do maps lie in their masks, good predictions beside bad, with chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastcam.jobs.evaluate.metrics.localization import (
    GroupLocalisation,
    Localisation,
    LocalisationSummary,
    compare_groups,
    known,
)
from fastcam.jobs.render.patches.statistics_plots import dots_and_box, tested
from fastcam.report.plot_page import BAD, FAINT, GOOD, INK, frame, new_page, png_of, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STRIPS = (
    ("share", "Share of the map inside the mask", "share of the map", "area"),
    ("iou", "Overlap at the best threshold", "intersection over union", "area"),
)


def localisation_page(
    found: Sequence[Localisation],
    good: Sequence[bool | None],
    names: tuple[str, str] = ("good", "bad"),
    note: str = "",
) -> bytes:
    """The page as PNG bytes, 2100 x 840 pixels; ``names`` are those of the two groups.

    A dot is an image; a box has the quartiles and the median, its whiskers the 5th and 95th
    percentile. The broken line is chance: the mean area of the masks. ``note`` stands in the title.
    """
    summary = compare_groups(found, good)
    groups = [
        [one for one, g in zip(found, good, strict=True) if g is wanted and one.share is not None]
        for wanted in (True, False)
    ]
    page = new_page(14.0, 5.6)
    measured = f"{summary.measured:,} of {summary.n:,} images measured"
    title = "Does the map lie where it should?" + (f"   {note}" if note else "")
    page.suptitle(
        f"{title}\n{measured}; - - - is chance", x=0.012, ha="left", size=13, color=INK,
        parse_math=False,
    )  # fmt: skip
    axes = page.subplots(1, 3)
    for place, strip in zip(axes, _STRIPS, strict=False):
        _strip(place, summary, groups, names, *strip)
    _pointing(axes[2], summary, names)
    return png_of(page)


def _strip(
    axes: Axes, summary: LocalisationSummary, groups: list[list[Localisation]],
    names: tuple[str, str], measure: str, title: str, y: str, chance: str,
) -> None:  # fmt: skip
    words = tested(summary.tests[measure])
    frame(axes, title + (f"\n{words}" if words else "\n"), "", y)
    axes.set_ylim(-0.03, 1.08)
    axes.grid(axis="x", visible=False)
    _name_groups(axes, [len(group) for group in groups], names)
    if not any(groups):
        say(axes, "no map could be measured")
    for place, (group, color) in enumerate(zip(groups, (GOOD, BAD), strict=True)):
        dots_and_box(axes, known(group, measure), place, color, "o^"[place])
        _chance(axes, place, known(group, chance))


def _pointing(axes: Axes, summary: LocalisationSummary, names: tuple[str, str]) -> None:
    frame(axes, "Pointing game\nshare of images whose peak lies inside", "", "share of the images")
    axes.set_ylim(-0.03, 1.08)
    axes.grid(axis="x", visible=False)
    groups: list[GroupLocalisation] = [summary.good, summary.bad]
    _name_groups(axes, [group.n for group in groups], names)
    for place, (group, color) in enumerate(zip(groups, (GOOD, BAD), strict=True)):
        if group.hit_rate is None or group.chance_hit_rate is None:
            axes.text(place, 0.5, "none", ha="center", color=FAINT, size=9)
            continue
        axes.bar(place, group.hit_rate, 0.5, color=color, alpha=0.75, zorder=2)
        axes.text(
            place, group.hit_rate + 0.02, f"{group.hit_rate:.0%}  ({group.hits})",
            ha="center", size=10, color=INK, zorder=5,
        )  # fmt: skip
        _chance(axes, place, np.array([group.chance_hit_rate]))


def _name_groups(axes: Axes, counts: Sequence[int], names: tuple[str, str]) -> None:
    axes.set_xlim(-0.6, 1.6)
    axes.set_xticks([0, 1], [f"{n}\nn = {c:,}" for n, c in zip(names, counts, strict=True)])


def _chance(axes: Axes, place: int, values: NDArray[np.float64]) -> None:
    if not values.size:
        return
    level = float(values.mean())
    axes.hlines(
        level, place - 0.46, place + 0.42, color=INK, linestyles=(0, (4, 3)), linewidth=1.6,
        zorder=4,
    )  # fmt: skip
    axes.annotate(
        f"{level:.2f}", (place + 0.42, level), (0, 3), textcoords="offset points", ha="right",
        size=8.5, color=INK, zorder=6, annotation_clip=False,
        bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "linewidth": 0, "alpha": 0.8},
    )  # fmt: skip
