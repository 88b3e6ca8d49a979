"""Curves of an analysis by matplotlib: activations by layer, and left against right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastcam.figures.notebook_figure import Figure
from fastcam.figures.view_panels import titled
from fastcam.jobs.analyze.results import ImageResult
from fastcam.options import Style
from fastcam.report.plots import (
    NUMBER_SIZE,
    drawable_text,
    frame,
    new_page,
    page_figure,
    plot_style,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = (
    ("mean", "mean activation"),
    ("std", "standard deviation"),
    ("max", "highest activation"),
    ("positive_share", "share of activations above 0"),
    ("effective_channels", "effective channels"),
)
# Okabe & Ito 2008: distinct for most kinds of color blindness.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MOST_CLASSES = len(_COLORS)


def activation_page(
    images: Sequence[ImageResult],
    groups: Mapping[str, Sequence[int]],
    layers: Sequence[str],
    style: Style,
    remark: str = "",
) -> Figure:
    """Median and quartiles of each number of the activations, by layer and class; ``remark`` is
    what the title says of the model."""
    largest = _largest(groups)
    page = new_page(13.5, 8.2, style)
    note = "median and quartiles over the images of a class"
    if len(largest) < len(groups):
        note += f"; the {len(largest)} largest of {len(groups)} classes"
    write_title(page, titled("Activations by layer", remark), note, style)
    grid = page.add_gridspec(
        2, 3, left=0.06, right=0.98, top=0.86, bottom=0.13, hspace=0.62, wspace=0.27
    )
    for number, (measure, title) in enumerate(_PANELS):
        axes = page.add_subplot(grid[number // 3, number % 3])
        frame(axes, title, style)
        for series, name in enumerate(largest):
            values = [
                np.array(
                    [getattr(images[i].layers[layer].activations, measure) for i in groups[name]]
                )
                for layer in layers
            ]
            _line(axes, values, series, len(largest))
        _name_layers(axes, layers)
    _legend(page.add_subplot(grid[1, 2]), largest, {n: len(groups[n]) for n in largest}, style)
    return page_figure(page, style)


def shares_page(
    images: Sequence[ImageResult],
    groups: Mapping[str, Sequence[int]],
    style: Style,
    remark: str = "",
) -> Figure:
    """The left half's share of Σ|gradient × input|, a dot an image, by class; ``remark`` is what
    the title says of the model."""
    largest = _largest(groups)
    page = new_page(max(7.5, 2.2 + 1.5 * len(largest)), 5.2, style)
    note = "share of |gradient × input| in the left half; a dot is an image, a line the median"
    write_title(page, titled("Left against right", remark), note, style)
    axes = page.add_axes((0.13, 0.15, 0.84, 0.66))
    frame(axes, "", style, y="left share")
    colors = plot_style(style)
    axes.axhline(0.5, color=colors.text, linewidth=1.0, linestyle=(0, (4, 3)))
    for number, name in enumerate(largest):
        shares = np.array([images[i].left_share for i in groups[name]], float)
        # Multiples of the golden ratio fill the width evenly and look the same on every run.
        sideways = (np.arange(shares.size) * 0.618034 % 1.0 - 0.5) * 0.5
        axes.scatter(
            number + sideways, shares, s=22, color=_COLORS[number], alpha=0.6, linewidths=0
        )
        axes.hlines(
            np.median(shares), number - 0.33, number + 0.33, color=colors.title, linewidth=2
        )
    axes.set_xlim(-0.6, len(largest) - 0.4)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xticks(range(len(largest)))
    labels = [drawable_text(f"{_short(name)}\nn = {len(groups[name])}", style) for name in largest]
    for tick, (text, font) in zip(
        axes.set_xticklabels([text for text, _ in labels]), labels, strict=True
    ):
        tick.set_fontproperties(font)
        tick.set_fontsize(NUMBER_SIZE)
        tick.set_text(text)
    return page_figure(page, style)


def _largest(groups: Mapping[str, Sequence[int]]) -> list[str]:
    by_size = sorted(groups, key=lambda name: -len(groups[name]))
    return sorted(by_size[:_MOST_CLASSES])


def _line(axes: Axes, values: Sequence[NDArray[np.float64]], number: int, count: int) -> None:
    """Medians and quartiles of the ``number``-th of ``count`` classes, layer by layer."""
    x = np.arange(len(values)) + (number - (count - 1) / 2) * 0.09
    low, middle, high = (np.array([np.quantile(v, q) for v in values]) for q in (0.25, 0.5, 0.75))
    axes.plot(x, middle, color=_COLORS[number], marker="o", markersize=4.5, linewidth=1.3)
    axes.vlines(x, low, high, color=_COLORS[number], linewidth=2.2, alpha=0.55)


def _name_layers(axes: Axes, layers: Sequence[str]) -> None:
    axes.set_xticks(range(len(layers)))
    axes.set_xticklabels(
        [_short(name) for name in layers], rotation=18, ha="right", rotation_mode="anchor"
    )
    axes.set_xlim(-0.4, len(layers) - 0.6)


def _legend(axes: Axes, largest: Sequence[str], counts: Mapping[str, int], style: Style) -> None:
    axes.set_axis_off()
    for number, name in enumerate(largest):
        y = 0.92 - number * 0.12
        axes.plot([0.0, 0.08], [y, y], color=_COLORS[number], linewidth=3)
        text, font = drawable_text(f"{_short(name or 'all images')}  (n = {counts[name]})", style)
        axes.text(
            0.12,
            y,
            text,
            va="center",
            font=font,
            size=11,
            color=plot_style(style).title,
            parse_math=False,
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)


def _short(name: str) -> str:
    """A name's end where it is long: of layers that is what differs."""
    return name if len(name) <= 24 else "…" + name[-23:]
