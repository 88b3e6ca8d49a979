"""The figures of an analysis as grids of panels: one map, all layers, two models, two classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fastcam.figures.contours import CONTOUR_COLORS
from fastcam.figures.figure_parts import NO_OUTLINES, Outlines, Panel, Sheet
from fastcam.figures.layout import row_ranges
from fastcam.figures.map_figure import NO_EVIDENCE, Heading, map_pair
from fastcam.figures.map_scales import MapScale, has_negatives, map_scale
from fastcam.figures.panel_order import ordered_panels, ordered_rows
from fastcam.figures.render_style import RenderStyle
from fastcam.figures.view_panels import panel_size, shrunk
from fastcam.jobs.analyze.figures.subject import ONLY_IMAGE, Subject
from fastcam.jobs.analyze.map_statistics import FeatureStatistics, normalized
from fastcam.options import PanelName, Style

# Layers beside each other; more go on in the rows below.
_ACROSS = 5
_LINE = (255, 255, 255)
# Of peaks, distinct on grey and color, in the order of the layers.
_PEAK_COLORS = np.array(
    [(255, 214, 0), (0, 229, 255), (255, 64, 129), (118, 255, 3), (213, 0, 249), (255, 145, 0)],
    np.uint8,
)
_PEAK_SIDE = 13
# Of the lines around what a detector has found.
_BOX_WIDTH = 2


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerMaps:
    """The maps of an image's layers.

    Attributes:
        values: by layer, its raw map (h, w) float32 at the layer's resolution.
        statistics: by layer, its map in numbers.
        region: ``x1, y1, x2, y2`` in pixels of the image, ends exclusive: what the model saw.
        at_input: (h, w) float32 |gradient × input| over the whole image; None without halves.
    """

    values: Mapping[str, NDArray[np.float32]]
    statistics: Mapping[str, FeatureStatistics]
    region: tuple[int, int, int, int]
    at_input: NDArray[np.float32] | None = None


def heatmap_sheet(
    subject: Subject, layer: str, values: NDArray[np.float32], render_style: RenderStyle
) -> Sheet:
    """One map as heat, the panel as large as the picture or ``panel_size``."""
    height, width = subject.enlarged(render_style.style)
    heat, _ = _pair(subject, _caption(subject, layer), values, height, width, render_style.style)
    return _sheet(subject.heading, [[heat]], render_style)


def overlay_sheet(
    subject: Subject, layer: str, values: NDArray[np.float32], render_style: RenderStyle
) -> Sheet:
    """The picture beside one map over it, or what the style says."""
    style = render_style.style
    height, width = subject.enlarged(style)
    pair = _pair(subject, _caption(subject, layer), values, height, width, style)
    images = [_image_panel(subject, subject.name, height, width)]
    row = _row(images, [pair], style.panels or ("image", "overlay"))
    return _sheet(subject.heading, [row], render_style)


def layers_sheet(subject: Subject, maps: LayerMaps, render_style: RenderStyle) -> Sheet:
    """All layers beside each other, overlays above their heat, or as the style says.

    At the left is the picture, and below it are the peaks, or for halves |gradient × input|.
    """
    style = render_style.style
    height, width = subject.panel_size(style)
    layers = list(maps.values)
    rows: list[list[Panel]] = []
    for row in row_ranges(len(layers), _ACROSS):
        names = [layers[index] for index in row]
        pairs = []
        for name in names:
            over = subject.of(name)
            size = over.panel_size(style)
            pairs.append(_pair(over, _caption(over, name), maps.values[name], *size, style))
        image = _image_panel(subject, subject.name, height, width)
        if maps.at_input is None:
            peaks = _peaks(subject, maps, names, height, width)
            peaks = replace(peaks, clear=not style.classic)
            drawn = subject.with_drawn_boxes()
            below = _image_panel(drawn, "peaks of the layers", height, width, peaks)
        else:
            below = _input_panel(subject, maps.at_input, height, width, style)
        # A bar at each overlay, too: the columns stay in line.
        overlays = [replace(overlay, bar=heat.bar) for heat, overlay in pairs]
        heats = [heat for heat, _ in pairs]
        order = style.panels or ("image", "overlay", "heat")
        rows += ordered_rows([image, below], [heats], [overlays], order)
    return _sheet(subject.heading, rows or [[image]], render_style)


def models_sheet(
    subject: Subject,
    models: tuple[str, str],
    maps: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]],
    agreement: Mapping[str, float | None],
    render_style: RenderStyle,
) -> Sheet:
    """A row for each layer: both models' maps over the picture, and the difference of the
    normalized maps, first minus second; or as the style says."""
    style, rows = render_style.style, []
    for layer, (first, second) in maps.items():
        over = subject.of(layer)
        height, width = over.panel_size(style)
        correlation = agreement[layer]
        note = NO_EVIDENCE if correlation is None else f"correlation {correlation:.2f}"
        pairs = []
        for name, values in zip(models, (first, second), strict=True):
            caption = f"{name} · {_caption(over, layer)}"
            pairs.append(_pair(over, caption, values, height, width, style))
        difference = normalized(first) - normalized(second)
        # The numbers at its bar are none of the maps' own.
        scaled = "" if style.classic or correlation is None else "each scaled 0 to 1, "
        caption = f"first - second, {scaled}{note}"
        pairs.append(_difference(over, caption, difference, height, width, style))
        images = [_image_panel(over, over.name, height, width)]
        rows.append(_row(images, pairs, style.panels or ("overlay",)))
    return _sheet(subject.heading, rows, render_style)


def classes_sheet(
    heading: Heading,
    names: tuple[str, str],
    pictures: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    maps: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]],
    halves: str,
    render_style: RenderStyle,
) -> Sheet:
    """A row for each layer: the mean map of each class over its mean picture on one scale, and
    their difference over the mean of both pictures; or as the style says."""
    style = render_style.style
    height, width = panel_size(pictures[0], style.panel_size)
    both = ((pictures[0].astype(np.uint16) + pictures[1] + 1) // 2).astype(np.uint8)
    rows = []
    for layer, (first, second) in maps.items():
        high = max(float(first.max()), float(second.max()))
        images, pairs = [], []
        for name, picture, values in zip(names, pictures, (first, second), strict=True):
            subject = Subject(heading, picture, halves)
            images.append(_image_panel(subject, name, height, width))
            caption = f"{name} · {layer}"
            pairs.append(_pair(subject, caption, values, height, width, style, (0.0, high)))
        subject = Subject(heading, both, halves)
        caption = f"{names[0]} - {names[1]}"
        pairs.append(_difference(subject, caption, first - second, height, width, style))
        rows.append(_row(images, pairs, style.panels or ("overlay",)))
    return _sheet(heading, rows, render_style)


def _row(
    images: Sequence[Panel], pairs: Sequence[tuple[Panel, Panel]], order: Sequence[PanelName]
) -> tuple[Panel, ...]:
    """Pictures, heat and overlays of ``pairs`` of these in an ``order``."""
    heats, overlays = zip(*pairs, strict=True)
    panels: dict[PanelName, Sequence[Panel]] = {
        "image": images,
        "heat": heats,
        "overlay": overlays,
    }
    return ordered_panels(panels, order)


def _caption(subject: Subject, layer: str) -> str:
    """The layer, and which of several images its map lies over."""
    return layer if subject.name == ONLY_IMAGE else f"{layer} · {subject.name}"


def _image_panel(
    subject: Subject, caption: str, height: int, width: int, outlines: Outlines = NO_OUTLINES
) -> Panel:
    facts = subject.facts
    own = caption == subject.name
    return Panel(
        facts.numbered_caption(caption) if own else caption,
        height,
        width,
        whole_caption=own,
        aside=facts.series if own else "",
        image=shrunk(subject.picture, height, width),
        outlines=_found(subject, height, width) if outlines is NO_OUTLINES else outlines,
        left_side=subject.left_side,
        top_side=facts.top_side,
        scale_bar=facts.scale_bar(subject.picture.shape[1], width),
    )


def _pair(
    subject: Subject,
    caption: str,
    values: NDArray[np.float32],
    height: int,
    width: int,
    style: Style,
    limits: tuple[float, float] | None = None,
) -> tuple[Panel, Panel]:
    """Heat and overlay of a layer's map, each with its caption and the line between halves."""
    both = has_negatives(values) and not style.classic
    scale = map_scale(values, "patient", both)
    if limits is not None and not scale.constant:
        scale = MapScale("patient", (-limits[1], limits[1]) if both else limits, both)
    if scale.constant:
        caption = f"{caption}, {NO_EVIDENCE}"
    elif both:
        caption = f"{caption}, above and below 0"
    return map_pair(
        shrunk(subject.picture, height, width),
        subject.whole_map(values, height, width),
        scale,
        (caption, caption),
        height,
        width,
        style,
        outlines=_lines(subject, height, width),
    )


def _difference(
    subject: Subject,
    caption: str,
    values: NDArray[np.float32],
    height: int,
    width: int,
    style: Style,
) -> tuple[Panel, Panel]:
    return map_pair(
        shrunk(subject.picture, height, width),
        subject.whole_map(values, height, width),
        map_scale(values, "patient", diverging=True),
        (caption, caption),
        height,
        width,
        style,
        outlines=_lines(subject, height, width),
    )


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
        shrunk(subject.picture, height, width),
        at_input,
        scale,
        ("", "|gradient × input|, to its 99th percentile"),
        height,
        width,
        style,
        bar=False,
        outlines=_lines(subject, height, width, texts),
    )
    return overlay


def _lines(subject: Subject, height: int, width: int, texts: tuple[str, ...] = ()) -> Outlines:
    """The line between halves, or the boxes of a detector, on a panel of this size."""
    if subject.halves == "no":
        return _found(subject, height, width)
    middle = width // 2
    boxes = np.array([(0, 0, middle, height), (middle, 0, width, height)], np.int32)
    return Outlines(boxes, np.array([_LINE, _LINE], np.uint8), np.ones(2, np.int32), tuple(texts))


def _found(subject: Subject, height: int, width: int) -> Outlines:
    """What a detector has found."""
    count = len(subject.boxes)
    if not count:
        return NO_OUTLINES
    height, width = subject.display.size(height, width)
    sides = np.array([width, height] * 2)
    corners = np.clip(np.rint(subject.boxes * sides), 0, sides).astype(np.int32)
    colors = np.array([CONTOUR_COLORS[n % len(CONTOUR_COLORS)] for n in range(count)], np.uint8)
    return Outlines(
        subject.display.boxes(corners, height, width).astype(np.int32),
        colors,
        np.full(count, _BOX_WIDTH, np.int32),
    )


def _peaks(
    subject: Subject, maps: LayerMaps, names: Sequence[str], height: int, width: int
) -> Outlines:
    """A numbered box around each layer's peak, on a panel of this size."""
    # The panel's size as the image is stored, which peaks are counted in.
    height, width = subject.display.size(height, width)
    x1, y1, x2, y2 = maps.region
    boxes, texts, colors = [], [], []
    for number, name in enumerate(names):
        peak = maps.statistics[name].peak
        if peak is None or name in subject.over:
            continue
        x = round((peak.x + 0.5 - x1) * width / (x2 - x1))
        y = round((peak.y + 0.5 - y1) * height / (y2 - y1))
        reach = _PEAK_SIDE // 2
        boxes.append((x - reach, y - reach, x + reach + 1, y + reach + 1))
        texts.append(name)
        colors.append(_PEAK_COLORS[number % len(_PEAK_COLORS)])
    if not boxes:
        return NO_OUTLINES
    inside = np.clip(np.array(boxes, np.int32), 0, [width, height, width, height])
    return Outlines(
        subject.display.boxes(inside, height, width).astype(np.int32),
        np.array(colors, np.uint8),
        np.full(len(boxes), 2, np.int32),
        tuple(texts),
    )


def _sheet(heading: Heading, rows: Sequence[Sequence[Panel]], render_style: RenderStyle) -> Sheet:
    color = render_style.palette.verdict(heading.correct)
    return Sheet(heading.title, heading.verdict, color, tuple(tuple(row) for row in rows))
