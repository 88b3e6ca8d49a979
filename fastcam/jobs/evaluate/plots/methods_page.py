"""``methods.png``: the means of all methods with their intervals, a panel for each measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastcam.jobs.evaluate.metrics.bootstrap import Estimate
from fastcam.jobs.evaluate.metrics.method_comparison import MEASURES, MethodValues
from fastcam.report.plots import (
    BLUE,
    DARK,
    FAINT,
    frame,
    new_page,
    shorten_name,
    write_placeholder,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Page

_COLUMNS = 3


def methods_page(
    methods: Sequence[MethodValues],
    means: Sequence[Mapping[str, Estimate]],
    measures: Sequence[str],
    title: str,
) -> Page:
    """The page. ``means`` of each of ``methods`` by measure; baselines are gray, and
    a dotted line carries each of them down the panel."""
    count = max(len(measures), 1)
    columns = min(count, _COLUMNS)
    rows = -(-count // columns)
    page = new_page(5.0 * columns + 1.0, rows * (1.6 + 0.32 * len(methods)), constrained=True)
    note = "mean over the images, with its 95 % bootstrap interval; gray: baselines"
    page.suptitle(
        f"Methods compared   {title}\n{note}", x=0.012, ha="left", size=13, color=DARK,
        parse_math=False,
    )  # fmt: skip
    panels = np.atleast_1d(page.subplots(rows, columns, squeeze=False)).reshape(-1)
    for axes in panels[len(measures) :]:
        axes.set_axis_off()
    if not measures:
        write_placeholder(panels[0], "nothing was measured")
    names = [shorten_name(method.name, 34) for method in methods]
    for axes, measure in zip(panels, measures, strict=False):
        name, high = MEASURES[measure]
        for place, (method, of_method) in enumerate(zip(methods, means, strict=True)):
            estimate = of_method.get(measure)
            if estimate is None or estimate.value is None:
                continue
            color = FAINT if method.baseline else BLUE
            if estimate.low is not None and estimate.high is not None:
                axes.plot([estimate.low, estimate.high], [place, place], color=color, linewidth=2)
            axes.plot([estimate.value], [place], "o", color=color)
            if method.baseline:
                axes.axvline(estimate.value, color=FAINT, linestyle=":", linewidth=1, zorder=0)
        frame(axes, f"{name}\n", x=f"{'high' if high else 'low'} is good")
        axes.set_yticks(range(len(methods)), names, fontsize=9)
        axes.set_ylim(len(methods) - 0.5, -0.5)
    return page
