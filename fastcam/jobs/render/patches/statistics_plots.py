"""One page of plots: attention of right predictions beside that of wrong ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.report.plots import BAD, DARK, FAINT, GOOD, dots_and_box, new_page
from fastcam.report.statistics import (
    CaseStatistics,
    CohortStatistics,
    known_values,
    p_text,
    rank_sum_text,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Metric, title, what its two ends mean, whether it is a share (axis from 0 to 1).
_STRIPS = (
    ("confidence", "Confidence", "predicted probability", False),
    ("normalised_entropy", "Normalized entropy", "0 one patch, 1 all equal", True),
    ("gini", "Gini index", "0 all equal, 1 one patch", True),
    ("half_slices", "Slices with half of the weight", "slices", False),
    ("top1", "Weight in the top patch", "share of the weight", False),
    ("top5", "Weight in the top 5 patches", "share of the weight", False),
    ("top10", "Weight in the top 10 patches", "share of the weight", False),
    ("inside_mask", "Weight inside the mask", "share of the weight", True),
)
_SCATTERS = (
    ("top10", "weight in the top 10 patches", "Confidence and concentration"),
    ("inside_mask", "weight inside the mask", "Confidence and mask"),
)


def statistics_page(cohort: CohortStatistics, rows: Sequence[CaseStatistics]) -> Figure:
    """The page, 2100 x 1485 pixels as PNG.

    A dot is a case; a box has the quartiles and the median, its whiskers the 5th and 95th
    percentile. Names of cases don't appear: no font has all their letters.
    """
    page = new_page(14, 9.9)
    grid = page.add_gridspec(
        3, 4, left=0.05, right=0.985, top=0.825, bottom=0.06, hspace=0.55, wspace=0.27
    )
    _header(page, cohort)
    for at, strip in enumerate(_STRIPS):
        _strip(page.add_subplot(grid[at // 4, at % 4]), cohort, rows, *strip)
    for at, (metric, label, title) in enumerate(_SCATTERS):
        _scatter(page.add_subplot(grid[2, at]), rows, metric, label, title)
    _table(page.add_subplot(grid[2, 2:]), cohort)
    return page


def _header(page: Figure, cohort: CohortStatistics) -> None:
    page.text(0.014, 0.955, "Attention statistics", size=19, weight="bold", color=DARK)
    share = f" ({cohort.right / cohort.n:.1%} right)" if cohort.n else ""
    cases = "case" if cohort.n == 1 else "cases"
    page.text(0.014, 0.928, f"{cohort.n:,} {cases}{share}", size=12, color=DARK)
    page.text(0.985, 0.96, f"● right: {cohort.right:,}", size=13, color=GOOD, ha="right")
    page.text(0.985, 0.934, f"▲ wrong: {cohort.wrong:,}", size=13, color=BAD, ha="right")
    notes = (
        "A dot is a case. Box: quartiles and median; whiskers: 5th and 95th percentile.",
        "p: Mann-Whitney U test, two-sided, not corrected for the number of tests. "
        "Effect: rank-biserial correlation, -1 to 1; above 0 when right predictions are higher.",
    )
    page.text(0.014, 0.883, "\n".join(notes), size=10, color="#555555", linespacing=1.4)


def _strip(
    axes: Axes,
    cohort: CohortStatistics,
    rows: Sequence[CaseStatistics],
    metric: str,
    title: str,
    meaning: str,
    whole_range: bool,
) -> None:
    _frame(axes)
    groups = [[row for row in rows if row.correct is correct] for correct in (True, False)]
    values = [known_values(group, metric) for group in groups]
    words = rank_sum_text(cohort.metrics[metric].test, [group.size for group in values])
    # A space where there are none, so that there is something for the name to stand on.
    below = axes.set_title(words or "\N{NO-BREAK SPACE}", size=9.5, loc="left", color="#555555")
    name: dict[str, Any] = {"size": 11, "weight": "bold", "color": DARK, "annotation_clip": False}
    axes.annotate(
        title,
        (0, 1),
        xytext=(0, 4),
        xycoords=below,
        textcoords="offset points",
        va="bottom",
        **name,
    )
    _set_limits(axes, np.concatenate(values), whole_range)
    for column, (group, color) in enumerate(zip(values, (GOOD, BAD), strict=True)):
        dots_and_box(axes, group, column, color, "o^"[column])
    axes.set_xlim(-0.6, 1.6)
    axes.set_xticks([0, 1], [f"right\nn = {values[0].size:,}", f"wrong\nn = {values[1].size:,}"])
    axes.set_ylabel(meaning, size=9, color=DARK)
    if not any(group.size for group in values):
        _no_values(axes)


def _scatter(
    axes: Axes, rows: Sequence[CaseStatistics], metric: str, label: str, title: str
) -> None:
    axes.set_title(title, size=11, weight="bold", loc="left", color=DARK, pad=22)
    _frame(axes)
    cases = [row for row in rows if getattr(row, metric) is not None and row.correct is not None]
    confidences = known_values(cases, "confidence")
    values = known_values(cases, metric)
    right = np.array([row.correct for row in cases], dtype=bool)
    for group, color, marker in ((right, GOOD, "o"), (~right, BAD, "^")):
        axes.scatter(
            confidences[group],
            values[group],
            s=float(np.clip(900 / max(group.sum(), 1), 5, 30)),
            marker=marker,
            color=color,
            alpha=float(np.clip(300 / max(group.sum(), 1), 0.15, 0.65)),
            linewidths=0,
        )
    axes.set_xlabel("confidence", size=9, color=DARK)
    axes.set_ylabel(label, size=9, color=DARK)
    _set_limits(axes, values, metric == "inside_mask")
    if confidences.size:
        low = float(confidences.min())
        axes.set_xlim(low - 0.06 * max(1 - low, 0.1), 1 + 0.06 * max(1 - low, 0.1))
    else:
        _no_values(axes)


def _table(axes: Axes, cohort: CohortStatistics) -> None:
    from matplotlib.transforms import Bbox

    axes.set_axis_off()
    title = "Median [quartiles]"
    axes.set_title(title, size=11, weight="bold", loc="left", color=DARK, pad=22)
    columns = ("", "right", "wrong", "effect", "p")
    cells = []
    for metric, name, _, _ in _STRIPS:
        spread = cohort.metrics[metric]
        test = spread.test
        spreads = [
            f"{_short(group.median)} [{_short(group.q1)}, {_short(group.q3)}]" if group.n else "–"
            for group in (spread.right, spread.wrong)
        ]
        tested = ("–", "–") if test is None else (f"{test.effect:+.2f}", p_text(test.p))
        cells.append([name, *spreads, *tested])
    table = axes.table(
        cells,
        colLabels=columns,
        colWidths=[0.3, 0.25, 0.25, 0.09, 0.11],
        cellLoc="right",
        bbox=Bbox.from_bounds(0.0, -0.13, 1.0, 1.22),
        edges="horizontal",
    )
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    for (row, column), cell in table.get_celld().items():
        cell.set_edgecolor("#d8d8d8")
        cell.get_text().set_color((DARK, GOOD, BAD)[column if column < 3 else 0])
        if row == 0:
            cell.get_text().set_fontweight("bold")
        cell.get_text().set_horizontalalignment("left" if column == 0 else "right")
        if column == 0:
            cell.PAD = 0.01


def _frame(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(labelsize=9, color=FAINT, labelcolor=DARK)
    axes.grid(axis="y", color="#ececec", linewidth=0.8)
    axes.set_axisbelow(True)


def _set_limits(axes: Axes, values: NDArray[np.float64], whole_range: bool) -> None:
    low, high = 0.0, 1.0
    if values.size and not whole_range:
        low, high = float(values.min()), float(values.max())
        # A single case, or cases all alike, would else be magnified into meaningless decimals.
        lacking = max((2.0 if high > 1.0 else 0.1) - (high - low), 0.0)
        low, high = low - lacking / 2, high + lacking / 2
    room = (high - low) * 0.06
    axes.set_ylim(low - room, high + room)
    if high > 2.0:
        axes.locator_params(axis="y", integer=True)


def _no_values(axes: Axes) -> None:
    axes.text(0.5, 0.5, "not known", transform=axes.transAxes, ha="center", color=FAINT, size=11)


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}" if value < 1 else f"{value:.4g}"
