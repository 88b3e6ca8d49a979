"""``faithfulness.png``: deletion and insertion curves, and rank correlation by depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Page

    from fastcam.attribution.faithfulness.parameter_randomization import Randomization
    from fastcam.attribution.faithfulness.perturbation_curves import Curves

_CENTER = "#b7791f"
_SCORES = {
    "probability": "probability of the class",
    "closeness": "similarity to the whole image's output",
}
_GAMES = (
    ("deletion", "Deletion, low is good", "share of the pixels deleted, highest first"),
    ("insertion", "Insertion, high is good", "share of the pixels inserted, highest first"),
)


def faithfulness_page(
    curves: Curves | None, randomization: Randomization | None, title: str = ""
) -> Page:
    """The page, 2250 x 900 pixels as PNG.

    Curves: median over the images, the band from the lower to the upper quartile. Correlation: a
    line is the mean over the images, the band again the quartiles, grey what noise reaches in 95 %.
    """
    page = new_page(15.0, 6.0, constrained=True)
    heading = "Are the maps faithful?" + (f"   {title}" if title else "")
    note = "line: median (correlation: mean); band: quartiles of the images"
    page.suptitle(f"{heading}\n{note}", x=0.012, ha="left", size=13, color=DARK, parse_math=False)
    axes = page.subplots(1, 3)
    for panel, (game, name, x) in zip(axes, _GAMES, strict=False):
        _game(panel, curves, game, name, x)
    _depth(axes[2], randomization)
    return page


def _game(axes: Axes, curves: Curves | None, game: str, title: str, x: str) -> None:
    score = "score" if curves is None else _SCORES[curves.kind]
    if curves is None or not curves.known.any():
        frame(axes, f"{title}\n", x=x, y=score)
        write_placeholder(axes, "not measured")
        return
    measured = curves.known
    lines = (
        ("map", game, BLUE, "-"),
        ("random maps", f"random_{game}", FAINT, "--"),
        ("centered-blob baseline", f"centre_{game}", _CENTER, ":"),
    )
    for name, attribute, color, style in lines:
        values = getattr(curves, attribute)
        if values is None:
            continue
        area = float(curves.auc(attribute)[measured].mean())
        label = f"{name}, area {area:.2f}"
        _band(
            axes,
            curves.fractions,
            values[measured],
            color,
            style,
            label,
            np.median(values[measured], axis=0),
        )
    frame(axes, f"{title}\n{int(measured.sum())} images", x=x, y=score)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.03, 1.03)
    axes.legend(frameon=False, fontsize=9, labelcolor=DARK, loc="best")


def _depth(axes: Axes, randomization: Randomization | None) -> None:
    title, y = "Cascading layer randomization", "rank correlation with the model's maps"
    if randomization is None:
        frame(axes, f"{title}\n", y=y)
        write_placeholder(axes, "not measured")
        return
    frame(axes, f"{title}\n{randomization.spearman.shape[1]} images", y=y)
    steps = np.arange(len(randomization.layers) + 1)

    def with_start(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.vstack([np.ones((1, values.shape[1])), values]).T

    low, high = np.quantile(randomization.random, [0.025, 0.975])
    axes.axhspan(low, high, color="#e4e4e4", zorder=0, linewidth=0, label="noise, 95 %")
    kinds = [("values", randomization.spearman, BLUE, "-")]
    if not np.allclose(randomization.spearman, randomization.absolute):
        kinds.append(("magnitudes", randomization.absolute, _CENTER, "--"))
    for name, correlations, color, style in kinds:
        values = with_start(correlations)
        _band(axes, steps, values, color, style, name, values.mean(axis=0))
    if randomization.other_image.size:
        axes.axhline(
            float(randomization.other_image.mean()),
            color=DARK,
            linewidth=1.2,
            linestyle=":",
            label="another image's map",
        )
    axes.axhline(0, color=FAINT, linewidth=0.8)
    names = ["none", *(shorten_name(name, 18) for name in randomization.layers)]
    axes.set_xticks(steps, names, rotation=90, size=8 if len(names) < 20 else 7)
    axes.set_xlim(0, len(steps) - 1)
    lowest = float(np.quantile(randomization.spearman, 0.25, axis=1).min())
    axes.set_ylim(min(-0.3, float(low) - 0.05, lowest - 0.05), 1.03)
    axes.legend(frameon=False, fontsize=9, labelcolor=DARK, loc="best")


def _band(
    axes: Axes,
    x: NDArray[Any],
    values: NDArray[np.floating],
    color: str,
    style: str,
    label: str,
    line: NDArray[np.floating],
) -> None:
    low, high = np.quantile(values, [0.25, 0.75], axis=0)
    axes.fill_between(x, low, high, color=color, alpha=0.16, linewidth=0)
    axes.plot(x, line, color=color, linestyle=style, linewidth=1.9, label=label)
