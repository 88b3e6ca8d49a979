"""View 6: the CLS token through the layers.

Its track in the plane of two principal components, its norm, and its cosine to the last layer's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fastcam.attribution.attention.vit_pass import VitPass
from fastcam.errors import InputError
from fastcam.figures.paper import POINTS_PER_INCH
from fastcam.figures.paper_plots import PlotPage
from fastcam.figures.view_panels import titled
from fastcam.jobs.vit.position_embedding import two_components
from fastcam.jobs.vit.subject import passes_of, subject_of
from fastcam.jobs.vit.track_labels import label_positions
from fastcam.options import Style
from fastcam.report.plots import (
    DPI,
    NUMBER_SIZE,
    frame,
    new_page,
    page_figure,
    plot_style,
    series_colors,
    write_row_title,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

    from fastcam.figures.notebook_figure import Figure

_START, _END, _LINE = "#16a34a", "#dc2626", "#0072b2"
# Pixels: a digit's width and height, and half of what marks a step, the input and the output.
_DIGIT = (12.0, 15.0)
_DOT, _SQUARE, _STAR = 7.0, 15.0, 18.0
_NOTE = (
    'The residual stream at CLS: "in" is before the first block, a number is after that block; '
    "before the model's last norm. Components: centered, not scaled."
)


@dataclass(frozen=True, eq=False)
class Track:
    """CLS of one image, before the first block and after each; all arrays are float64.

    - ``points`` (steps, 2): its principal components
    - ``share`` (2,): their shares of the variance, 0 to 1
    - ``norm`` (steps,): Euclidean norm
    - ``cosine`` (steps,): cosine to the last step
    """

    points: NDArray[np.float64]
    share: NDArray[np.float64]
    norm: NDArray[np.float64]
    cosine: NDArray[np.float64]


def cls_evolution(
    model_or_pass: nn.Module | VitPass,
    images: Any = None,
    *,
    index: int = 0,
    compare: nn.Module | VitPass | None = None,
    labels: tuple[str, str] = ("first", "second"),
    title: str = "",
    style: Style | None = None,
) -> Figure:
    """The CLS token of one image, from the input (green square) to the output (red star).

    ``model_or_pass``: a model, run on ``images``, or a pass; ``index``: which of its images.
    ``compare``: another model, or pass of the same images, in a row below, called as ``labels``
    say; both have the same axes, and components of both together where their widths agree.

    Raises InputError for a model without CLS token, or whose blocks aren't modules.
    """
    style = style or Style()
    subject = subject_of(model_or_pass, images, None, index)
    passes = passes_of(subject.vit, compare)
    tracks = tracks_of([tokens_of(vit, subject.index) for vit in passes])
    # Two rows have their names above them.
    above, tall = (1.25, 4.45) if len(tracks) == 1 else (1.5, 4.6)
    height = above + tall * len(tracks)
    page = new_page(16.0, height, style)
    spread = page.add_gridspec(
        len(tracks),
        3,
        left=0.05,
        right=0.985,
        top=1 - above / height,
        bottom=0.6 / height,
        wspace=0.24,
        hspace=0.4,
        width_ratios=[1.25, 1, 1],
    )
    write_title(page, titled(title, "the CLS token through the layers"), _NOTE, style)
    rows = []
    for row, track in enumerate(tracks):
        axes = [page.add_subplot(spread[row, column]) for column in range(3)]
        if len(tracks) > 1:
            write_row_title(axes[0], labels[row], style)
        _track(axes[0], track, style)
        _curve(axes[1], track.norm, "norm", "Euclidean norm", style)
        _curve(axes[2], track.cosine, "cosine to the last layer", "cosine", style)
        # Room for the star.
        axes[1].set_ylim(0, 1.1 * float(track.norm.max()) or 1.0)
        axes[2].set_ylim(min(-0.05, float(track.cosine.min()) - 0.05), 1.1)
        rows.append(axes)
    for column in zip(*rows, strict=True):
        _same_limits(column)
    steps = _StepLabels([axes[0] for axes in rows], tracks, style)
    return page_figure(PlotPage(page, steps, rows_apart=True), style)


def tokens_of(vit: VitPass, index: int) -> NDArray[np.float64]:
    """CLS (steps, dim) float64 of one image. InputError where the pass has none."""
    if vit.cls is None:
        raise InputError(
            f"the way of the CLS token can't be shown: {vit.no_cls}; leave out this view"
        )
    tokens: NDArray[np.float64] = vit.cls[:, index].double().cpu().numpy()
    return tokens


def tracks_of(tokens: Sequence[NDArray[np.float64]]) -> list[Track]:
    """The tracks of CLS tokens (steps, dim), with common components where the widths agree."""
    if len({steps.shape[1] for steps in tokens}) == 1:
        points, share = two_components(np.concatenate(tokens))
        ends = np.cumsum([len(steps) for steps in tokens])[:-1]
        planes = [(part, share) for part in np.split(points, ends)]
    else:
        planes = [two_components(steps) for steps in tokens]
    return [
        Track(points, share, np.linalg.norm(steps, axis=1), _cosine_to_last(steps))
        for (points, share), steps in zip(planes, tokens, strict=True)
    ]


def _cosine_to_last(tokens: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosine (steps,) of each token with the last one; 0 with one that is all zero."""
    length = np.linalg.norm(tokens, axis=1) * np.linalg.norm(tokens[-1])
    cosine: NDArray[np.float64] = tokens @ tokens[-1] / np.where(length > 0, length, 1.0)
    return cosine


def _track(axes: Axes, track: Track, style: Style) -> None:
    x, y = track.points.T
    share = track.share
    palette = plot_style(style)
    frame(
        axes,
        "in the plane of its principal components",
        style,
        f"component 1 ({share[0]:.0%} of the variance)",
        f"component 2 ({share[1]:.0%})",
    )
    axes.plot(x, y, color=palette.text, linewidth=1.3, zorder=2)
    axes.scatter(x, y, c=np.arange(len(x)), cmap=series_colors(style), s=40, zorder=3, linewidths=0)
    for step, marker, size, color, label in (
        (0, "s", 130, _START, "input"),
        (-1, "*", 330, _END, "output"),
    ):
        axes.scatter(
            x[step],
            y[step],
            marker=marker,
            s=size,
            color=color,
            label=label,
            zorder=4,
            edgecolors=palette.background,
            linewidths=1.0,
        )
    axes.margins(0.14)
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=2,
        fontsize=NUMBER_SIZE,
        labelcolor=palette.text,
        frameon=False,
        markerscale=0.7,
    )


class _StepLabels:
    """Block numbers at the steps of each of the plots. Their limits must be set."""

    def __init__(self, plots: Sequence[Axes], tracks: Sequence[Track], style: Style) -> None:
        self._tracks = list(zip(plots, tracks, strict=True))
        self._color = plot_style(style).title
        self._written: list[Annotation] = []

    def clear(self) -> None:
        """Remove them."""
        for label in self._written:
            label.remove()
        self._written = []

    def place(self) -> None:
        """Put them where they have room."""
        for axes, track in self._tracks:
            self._place(axes, track)

    def _place(self, axes: Axes, track: Track) -> None:
        # A pixel of a page as it is made, in points.
        pixel = POINTS_PER_INCH / DPI
        points = axes.transData.transform(track.points) * POINTS_PER_INCH / axes.figure.dpi
        words = ["in", *map(str, range(len(points) - 1))]
        sizes = np.array([(len(word) * _DIGIT[0], _DIGIT[1]) for word in words], np.float64)
        radii = np.full(len(points), _DOT)
        radii[[0, -1]] = _SQUARE, _STAR
        for step, at in label_positions(points / pixel, radii, sizes).items():
            right, up = at * pixel - points[step]
            label = axes.annotate(
                words[step],
                track.points[step],
                xytext=(right, up),
                textcoords="offset points",
                ha="center",
                va="center_baseline",
                size=NUMBER_SIZE,
                color=self._color,
                zorder=5,
                annotation_clip=False,
            )
            self._written.append(label)


def _curve(axes: Axes, values: NDArray[np.float64], title: str, unit: str, style: Style) -> None:
    frame(axes, title, style, "after block", unit)
    steps = np.arange(len(values))
    axes.plot(steps, values, color=_LINE, linewidth=1.8, marker="o", markersize=5, zorder=2)
    axes.scatter(0, values[0], marker="s", s=80, color=_START, zorder=3)
    axes.scatter(steps[-1], values[-1], marker="*", s=210, color=_END, zorder=3)
    ticks = steps[:: -(-len(values) // 14)]
    axes.set_xticks(ticks, ["in" if step == 0 else str(step - 1) for step in ticks])


def _same_limits(column: Sequence[Axes]) -> None:
    for get, put in (("get_xlim", "set_xlim"), ("get_ylim", "set_ylim")):
        limits = np.array([getattr(axes, get)() for axes in column])
        for axes in column:
            getattr(axes, put)(limits[:, 0].min(), limits[:, 1].max())
