"""The figures of an analysis as grids of panels: one map, all layers, two models, two classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fastcam.figures import layout
from fastcam.figures.map_scales import MapScale, map_scale
from fastcam.figures.map_sheets import NO_EVIDENCE, Heading, map_pair
from fastcam.figures.panels import in_rows, panel_size, shrunk
from fastcam.figures.patch_sheets import RenderStyle
from fastcam.figures.sheet import NO_OUTLINES, Outlines, Panel, Sheet
from fastcam.jobs.analyze.map_statistics import FeatureStatistics, normalised
from fastcam.options import Style
from fastcam.read.inputs.halves import pasted

# Layers beside each other; more go on in the rows below.
_ACROSS = 5
_LINE = (255, 255, 255)
# Of peaks, distinct on grey and colour, in the order of the layers.
_PEAKS = np.array(
    [(255, 214, 0), (0, 229, 255), (255, 64, 129), (118, 255, 3), (213, 0, 249), (255, 145, 0)],
    np.uint8,
)
_PEAK_SIDE = 13


@dataclass(frozen=True, eq=False)
class Subject:
    """What a figure is of: its heading, the picture (h, w, 1 or 3) uint8 that the model saw, and
    how maps lie on it: "no", or on each of its "plain" or "mirror" halves. ``left_share`` of
    Σ|gradient × input|, where the model sees halves."""

    heading: Heading
    picture: NDArray[np.uint8]
    halves: str = "no"
    left_share: float | None = None

    def whole(self, cells: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
        """A layer's map over the whole picture; of halves as large as its panel, so that nothing
        runs over the midline when it is drawn."""
        if self.halves == "no":
            return np.ascontiguousarray(cells)
        return pasted(cells, height, width, self.halves)


def heatmap_sheet(
    subject: Subject, caption: str, cells: NDArray[np.float32], render_style: RenderStyle
) -> Sheet:
    """One map as heat, the panel as large as the picture or ``panel_size``."""
    height, width = _own_size(subject, render_style.style)
    heat, _ = _pair(subject, caption, cells, height, width, render_style.style)
    return _sheet(subject.heading, [[heat]], render_style)


def overlay_sheet(
    subject: Subject, caption: str, cells: NDArray[np.float32], render_style: RenderStyle
) -> Sheet:
    """The picture beside one map over it."""
    height, width = _own_size(subject, render_style.style)
    heat, overlay = _pair(subject, caption, cells, height, width, render_style.style)
    image = Panel("image", height, width, image=subject.picture)
    return _sheet(subject.heading, [[image, _with_bar(overlay, heat)]], render_style)


def layers_sheet(
    subject: Subject,
    maps: Mapping[str, NDArray[np.float32]],
    statistics: Mapping[str, FeatureStatistics],
    field: tuple[int, int, int, int],
    at_input: NDArray[np.float32] | None,
    render_style: RenderStyle,
) -> Sheet:
    """All layers beside each other, overlays above their heat; at the left the picture, and below
    it the places of the peaks, or for halves |gradient × input|."""
    height, width = panel_size(subject.picture, render_style.style.panel_size)
    picture = shrunk(subject.picture, height, width)
    rows: list[list[Panel]] = []
    for part in in_rows(len(maps), _ACROSS):
        names = [list(maps)[at] for at in part]
        pairs = [
            _pair(subject, name, maps[name], height, width, render_style.style) for name in names
        ]
        boxes = _peaks(statistics, names, field, height, width)
        first = Panel("image", height, width, image=picture)
        below = Panel("peaks of the layers", height, width, image=picture, outlines=boxes)
        if at_input is not None:
            below = _input_panel(subject, at_input, height, width, render_style.style)
        rows.append([first, *(_with_bar(overlay, heat) for heat, overlay in pairs)])
        rows.append([below, *(heat for heat, _ in pairs)])
    return _sheet(subject.heading, rows, render_style)


def models_sheet(
    subject: Subject,
    models: tuple[str, str],
    maps: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]],
    agreement: Mapping[str, float | None],
    render_style: RenderStyle,
) -> Sheet:
    """A row for each layer: both models' maps over the picture, and the difference of the
    normalised maps, first minus second."""
    height, width = panel_size(subject.picture, render_style.style.panel_size)
    rows = []
    for layer, (one, other) in maps.items():
        said = agreement[layer]
        told = NO_EVIDENCE if said is None else f"correlation {said:.2f}"
        row = []
        for name, cells in zip(models, (one, other), strict=True):
            heat, overlay = _pair(
                subject, f"{name} · {layer}", cells, height, width, render_style.style
            )
            row.append(_with_bar(overlay, heat))
        apart = normalised(one) - normalised(other)
        row.append(
            _difference(subject, f"first - second, {told}", apart, height, width, render_style)
        )
        rows.append(row)
    return _sheet(subject.heading, rows, render_style)


def classes_sheet(
    title: str,
    said: str,
    names: tuple[str, str],
    pictures: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    maps: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]],
    halves: str,
    render_style: RenderStyle,
) -> Sheet:
    """A row for each layer: the mean map of each class over its mean picture on one scale, and
    their difference over the mean of both pictures."""
    height, width = panel_size(pictures[0], render_style.style.panel_size)
    heading = Heading(title, said)
    both = ((pictures[0].astype(np.uint16) + pictures[1] + 1) // 2).astype(np.uint8)
    rows = []
    for layer, (one, other) in maps.items():
        high = max(float(one.max()), float(other.max()))
        row = []
        for name, picture, cells in zip(names, pictures, (one, other), strict=True):
            heat, overlay = _pair(
                Subject(heading, picture, halves), f"{name} · {layer}", cells, height, width,
                render_style.style, (0.0, high),
            )  # fmt: skip
            row.append(_with_bar(overlay, heat))
        subject = Subject(heading, both, halves)
        caption = f"{names[0]} - {names[1]}"
        row.append(_difference(subject, caption, one - other, height, width, render_style))
        rows.append(row)
    return _sheet(heading, rows, render_style)


def _own_size(subject: Subject, style: Style) -> tuple[int, int]:
    height, width, _ = subject.picture.shape
    return layout.enlarged(height, width, style.panel_size)


def _pair(
    subject: Subject,
    caption: str,
    cells: NDArray[np.float32],
    height: int,
    width: int,
    style: Style,
    limits: tuple[float, float] | None = None,
) -> tuple[Panel, Panel]:
    """Heat and overlay of a layer's map, each with its caption and the line between halves."""
    scale = map_scale(cells, "patient")
    if limits is not None and not scale.constant:
        scale = MapScale("patient", limits)
    if scale.constant:
        caption = f"{caption}, {NO_EVIDENCE}"
    return map_pair(
        shrunk(subject.picture, height, width), subject.whole(cells, height, width), scale,
        (caption, caption), height, width, style, outlines=_midline(subject, height, width),
    )  # fmt: skip


def _difference(
    subject: Subject,
    caption: str,
    cells: NDArray[np.float32],
    height: int,
    width: int,
    render_style: RenderStyle,
) -> Panel:
    heat, overlay = map_pair(
        shrunk(subject.picture, height, width), subject.whole(cells, height, width),
        map_scale(cells, "patient", diverging=True), (caption, caption), height, width,
        render_style.style, outlines=_midline(subject, height, width),
    )  # fmt: skip
    return _with_bar(overlay, heat)


def _input_panel(
    subject: Subject, at_input: NDArray[np.float32], height: int, width: int, style: Style
) -> Panel:
    """|gradient × input| over the picture, left and right with their shares."""
    # A few pixels have most of it: above the 99th percentile all are the brightest.
    high = float(np.quantile(at_input, 0.99)) or float(at_input.max())
    scale = map_scale(at_input, "patient")
    if not scale.constant:
        scale = MapScale("patient", (0.0, high))
    texts = ("", "")
    if subject.left_share is not None:
        left = subject.left_share
        texts = (f"left {left:.1%}", f"right {1 - left:.1%}")
    # Without a bar, as the panel above it: the columns of both rows stay below each other.
    _, overlay = map_pair(
        shrunk(subject.picture, height, width), at_input, scale,
        ("", "|gradient × input|, to its 99th percentile"), height, width, style, bar=False,
        outlines=_midline(subject, height, width, texts),
    )  # fmt: skip
    return overlay


def _midline(
    subject: Subject, height: int, width: int, texts: tuple[str, ...] = ()
) -> Outlines:  # fmt: skip
    if subject.halves == "no":
        return NO_OUTLINES
    middle = width // 2
    boxes = np.array([(0, 0, middle, height), (middle, 0, width, height)], np.int32)
    return Outlines(
        boxes, np.array([_LINE, _LINE], np.uint8), np.ones(2, np.int32), tuple(texts)
    )  # fmt: skip


def _peaks(
    statistics: Mapping[str, FeatureStatistics],
    names: Sequence[str],
    field: tuple[int, int, int, int],
    height: int,
    width: int,
) -> Outlines:
    """A numbered box around each layer's peak."""
    x1, y1, x2, y2 = field
    boxes, texts, colours = [], [], []
    for at, name in enumerate(names):
        place = statistics[name].peak
        if place is None:
            continue
        x = round((place.x + 0.5 - x1) * width / (x2 - x1))
        y = round((place.y + 0.5 - y1) * height / (y2 - y1))
        reach = _PEAK_SIDE // 2
        boxes.append((x - reach, y - reach, x + reach + 1, y + reach + 1))
        texts.append(name)
        colours.append(_PEAKS[at % len(_PEAKS)])
    if not boxes:
        return NO_OUTLINES
    return Outlines(
        np.clip(np.array(boxes, np.int32), 0, [width, height, width, height]).astype(np.int32),
        np.array(colours, np.uint8), np.full(len(boxes), 2, np.int32), tuple(texts),
    )  # fmt: skip


def _with_bar(overlay: Panel, heat: Panel) -> Panel:
    """An overlay with the colour bar of its heat."""
    return replace(overlay, bar=heat.bar)


def _sheet(heading: Heading, rows: Sequence[Sequence[Panel]], render_style: RenderStyle) -> Sheet:
    palette = render_style.palette
    known = palette.right if heading.correct else palette.wrong
    colour = palette.caption if heading.correct is None else known
    return Sheet(heading.title, heading.verdict, colour, tuple(tuple(row) for row in rows))
