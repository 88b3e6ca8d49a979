"""What chance would give, as a line across a group of a plot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.report.plots import DARK

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# The ground of a text that lines may cross.
OVER_LINES: dict[str, Any] = {
    "boxstyle": "square,pad=0.1",
    "facecolor": "white",
    "linewidth": 0,
    "alpha": 0.8,
}


def chance_line(axes: Axes, x: int, values: NDArray[np.float64]) -> None:
    """A dashed line at the mean of ``values`` (n,) over the group at ``x``, with its number;
    nothing for no values."""
    if not values.size:
        return
    level = float(values.mean())
    axes.hlines(
        level,
        x - 0.46,
        x + 0.42,
        color=DARK,
        linestyles=(0, (4, 3)),
        linewidth=1.6,
        zorder=4,
    )
    axes.annotate(
        f"{level:.2f}",
        (x + 0.42, level),
        (0, 3),
        textcoords="offset points",
        ha="right",
        size=8.5,
        color=DARK,
        zorder=6,
        annotation_clip=False,
        bbox=OVER_LINES,
    )
