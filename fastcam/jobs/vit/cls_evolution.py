"""View 6, the CLS token through the layers: its way in the plane of its two principal components,
its norm, and its cosine to what it is after the last layer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.figures.panels import titled
from fastcam.jobs.vit.position_embedding import two_components
from fastcam.jobs.vit.subject import pass_on, subject_of
from fastcam.options import Style
from fastcam.report.plots import (
    NUMBERS,
    drawn,
    frame,
    ink_of,
    name_row,
    new_page,
    shades,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import nn

    from fastcam.attribution.attention.vit_pass import VitPass
    from fastcam.figures.figure import Figure

_START, _END, _LINE = "#16a34a", "#dc2626", "#0072b2"
# Pixels: a digit's width and height, and half of what marks a step, the input and the output.
_DIGIT = (12.0, 15.0)
_DOT, _SQUARE, _STAR = 7.0, 15.0, 18.0
_NOTE = (
    'The residual stream at CLS: "in" is before the first block, a number is after that block; '
    "before the model's last norm. Components: centred, not scaled."
)


@dataclass(frozen=True, eq=False)
class Track:
    """CLS of one image. ``points`` (steps, 2): its principal components; ``share`` (2,) of the
    variance; ``norm`` (steps,) Euclidean; ``cosine`` (steps,) to the last step."""

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
    passes = [subject.vit]
    if compare is not None:
        passes.append(pass_on(compare, subject.vit))
    tracks = tracks_of([tokens_of(each, subject.index) for each in passes])
    # Two rows have their names above them.
    above, tall = (1.25, 4.45) if len(tracks) == 1 else (1.5, 4.6)
    height = above + tall * len(tracks)
    page = new_page(16.0, height, style)
    spread = page.add_gridspec(
        len(tracks), 3, left=0.05, right=0.985, top=1 - above / height, bottom=0.6 / height,
        wspace=0.24, hspace=0.4, width_ratios=[1.25, 1, 1],
    )  # fmt: skip
    write_title(page, titled(title, "the CLS token through the layers"), _NOTE, style)
    rows = []
    for row, track in enumerate(tracks):
        axes = [page.add_subplot(spread[row, column]) for column in range(3)]
        if len(tracks) > 1:
            name_row(axes[0], labels[row], style)
        _way(axes[0], track, style)
        _curve(axes[1], track.norm, "norm", "Euclidean norm", style)
        _curve(axes[2], track.cosine, "cosine to the last layer", "cosine", style)
        # Room for the star.
        axes[1].set_ylim(0, 1.1 * float(track.norm.max()) or 1.0)
        axes[2].set_ylim(min(-0.05, float(track.cosine.min()) - 0.05), 1.1)
        rows.append(axes)
    for column in zip(*rows, strict=True):
        _same_limits(column)
    for axes, track in zip(rows, tracks, strict=True):
        _number(axes[0], track, style)
    return drawn(page)


def tokens_of(seen: VitPass, index: int) -> NDArray[np.float64]:
    """CLS (steps, dim) float64 of one image. InputError where the pass has none."""
    if seen.cls is None:
        raise InputError(
            f"the way of the CLS token can't be shown: {seen.no_cls}; leave out this view"
        )
    tokens: NDArray[np.float64] = seen.cls[:, index].double().cpu().numpy()
    return tokens


def tracks_of(tokens: Sequence[NDArray[np.float64]]) -> list[Track]:
    """The tracks of CLS tokens (steps, dim), with common components where the widths agree."""
    if len({one.shape[1] for one in tokens}) == 1:
        points, share = two_components(np.concatenate(tokens))
        ends = np.cumsum([len(one) for one in tokens])[:-1]
        planes = [(part, share) for part in np.split(points, ends)]
    else:
        planes = [two_components(one) for one in tokens]
    return [
        Track(points, share, np.linalg.norm(one, axis=1), _to_last(one))
        for (points, share), one in zip(planes, tokens, strict=True)
    ]


def _to_last(tokens: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosine (steps,) of each token with the last one; 0 with one that is all zero."""
    length = np.linalg.norm(tokens, axis=1) * np.linalg.norm(tokens[-1])
    found: NDArray[np.float64] = tokens @ tokens[-1] / np.where(length > 0, length, 1.0)
    return found


def _way(axes: Axes, track: Track, style: Style) -> None:
    x, y = track.points.T
    share = track.share
    ink = ink_of(style)
    frame(
        axes, "in the plane of its principal components", style,
        f"component 1 ({share[0]:.0%} of the variance)", f"component 2 ({share[1]:.0%})",
    )  # fmt: skip
    axes.plot(x, y, color=ink.text, linewidth=1.3, zorder=2)
    axes.scatter(x, y, c=np.arange(len(x)), cmap=shades(style), s=40, zorder=3, linewidths=0)
    for at, marker, size, colour, label in (
        (0, "s", 130, _START, "input"),
        (-1, "*", 330, _END, "output"),
    ):
        axes.scatter(
            x[at], y[at], marker=marker, s=size, color=colour, label=label, zorder=4,
            edgecolors=ink.paper, linewidths=1.0,
        )  # fmt: skip
    axes.margins(0.14)
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=NUMBERS,
        labelcolor=ink.text, frameon=False, markerscale=0.7,
    )  # fmt: skip


def _number(axes: Axes, track: Track, style: Style) -> None:
    """Block numbers at the steps. The limits of the axes must be set by now."""
    pixels = axes.transData.transform(track.points)
    words = ["in", *map(str, range(len(pixels) - 1))]
    sizes = np.array([(len(word) * _DIGIT[0], _DIGIT[1]) for word in words], np.float64)
    radii = np.full(len(pixels), _DOT)
    radii[[0, -1]] = _SQUARE, _STAR
    for step, (x, y) in place_numbers(pixels, radii, sizes).items():
        right, up = (x, y) - pixels[step]
        axes.annotate(
            words[step], track.points[step], xytext=(right, up), textcoords="offset pixels",
            ha="center", va="center_baseline", size=NUMBERS, color=ink_of(style).title, zorder=5,
            annotation_clip=False,
        )  # fmt: skip


def _curve(axes: Axes, values: NDArray[np.float64], title: str, what: str, style: Style) -> None:
    frame(axes, title, style, "after block", what)
    steps = np.arange(len(values))
    axes.plot(steps, values, color=_LINE, linewidth=1.8, marker="o", markersize=5, zorder=2)
    axes.scatter(0, values[0], marker="s", s=80, color=_START, zorder=3)
    axes.scatter(steps[-1], values[-1], marker="*", s=210, color=_END, zorder=3)
    every = -(-len(values) // 14)
    shown = steps[::every]
    axes.set_xticks(shown, ["in" if step == 0 else str(step - 1) for step in shown])


def _same_limits(column: Sequence[Axes]) -> None:
    for get, put in (("get_xlim", "set_xlim"), ("get_ylim", "set_ylim")):
        limits = np.array([getattr(axes, get)() for axes in column])
        for axes in column:
            getattr(axes, put)(limits[:, 0].min(), limits[:, 1].max())


Points = NDArray[np.float64]

_AIR = 3.0
# Tried from the nearest on, each all around.
_FURTHER = (0.0, 6.0, 14.0, 26.0)
_AROUND = 24
# Of the line, so that none of it slips between two points into a number.
_SPACING = 2.0


@dataclass(eq=False)
class _Taken:
    """What numbers keep away from: points (n, 2) with their radii (n,), and boxes
    (left, top, right, bottom) of numbers."""

    points: Points
    radii: NDArray[np.float64]
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)

    def hits(self, left: float, top: float, right: float, bottom: float) -> bool:
        low, high = np.array((left, top)), np.array((right, bottom))
        outside = np.maximum(np.maximum(low - self.points, self.points - high), 0.0)
        if (np.hypot(*outside.T) < self.radii + _AIR).any():
            return True
        near = (left - _AIR, top - _AIR, right + _AIR, bottom + _AIR)
        return any(
            near[0] < box[2] and box[0] < near[2] and near[1] < box[3] and box[1] < near[3]
            for box in self.boxes
        )


def place_numbers(points: Points, radii: NDArray[np.float64], sizes: Points) -> dict[int, Points]:
    """Middles (x, y) of the numbers that have room, by step; the ends are placed first.

    ``points`` (steps, 2): the track, ``radii`` (steps,) of its dots, ``sizes`` (steps, 2): width
    and height of the numbers, all in pixels. A step in a crowd has none.
    """
    line = _along(points)
    taken = _Taken(
        np.concatenate([line, points]), np.concatenate([np.zeros(len(line)), radii])
    )  # fmt: skip
    found = {}
    for step in (0, *range(len(points) - 1, 0, -1)):
        middle = _free(points, step, radii[step], sizes[step], taken)
        if middle is not None:
            found[step] = middle
    return found


def _free(points: Points, step: int, radius: float, size: Points, taken: _Taken) -> Points | None:
    half = size / 2
    for further in _FURTHER:
        for direction in _directions(points, step):
            # So far out that the box just clears the dot.
            reach = radius + _AIR + 1.0 + further
            middle: Points = points[step] + direction * reach + np.sign(direction.round(6)) * half
            box = (*(middle - half).tolist(), *(middle + half).tolist())
            if not taken.hits(*box):
                taken.boxes.append(box)
                return middle
    return None


def _directions(points: Points, step: int) -> Points:
    """Unit vectors all around, those first that lead away from the neighbours on the track."""
    towards = np.zeros(2)
    for other in (step - 1, step + 1):
        if 0 <= other < len(points):
            way = points[other] - points[step]
            towards += way / max(float(np.hypot(*way)), 1e-9)
    angles = np.arange(_AROUND) * (2 * np.pi / _AROUND)
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # On a straight way all are alike; then upwards and to the right comes first.
    return around[np.argsort(around @ (towards - (0.02, 0.03)), kind="stable")]


def _along(points: Points) -> Points:
    parts = [points]
    for start, end in itertools.pairwise(points):
        count = int(np.hypot(*(end - start)) / _SPACING) + 1
        parts.append(start + np.linspace(0, 1, count, endpoint=False)[:, None] * (end - start))
    return np.concatenate(parts)
