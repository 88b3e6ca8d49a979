"""View 3: the attention of CLS, or of a chosen patch, in several layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fastcam.attribution.attention.vit_pass import VitPass
from fastcam.figures.figure import Figure
from fastcam.figures.panels import (
    Interpolation,
    Limits,
    blank_panel,
    figure_of_rows,
    image_panel,
    map_panels,
    row_ranges,
    shared_limits,
    titled,
)
from fastcam.figures.sheet import Panel
from fastcam.jobs.explain.results import Head
from fastcam.jobs.vit.map_view import MapView, layer_map, map_view
from fastcam.jobs.vit.selection import check_head, layers_of
from fastcam.jobs.vit.subject import subject_of
from fastcam.options import Style

# Layers beside each other.
_COLUMNS = 5


def attention_layers(
    model_or_pass: nn.Module | VitPass,
    images: Any = None,
    *,
    pictures: Sequence[NDArray[np.uint8]] | None = None,
    index: int = 0,
    layers: Sequence[int] | None = None,
    head: Head = "mean",
    query: int | tuple[int, int] | None = None,
    interpolation: Interpolation = "bilinear",
    compare: nn.Module | VitPass | None = None,
    labels: tuple[str, str] = ("first", "second"),
    title: str = "",
    style: Style | None = None,
) -> Figure:
    """Attention of CLS (or of ``query``) to the patches, layer by layer.

    The image stands at the left; beside it is the heat of every layer, and below that its overlay.
    The colours go from the lowest to the highest value of all maps of the figure, or with scale
    ``slice`` of those of each layer. A map sums to at most 1.

    - ``model_or_pass``: a model, or the pass that ``run_vit`` returned
    - ``images``: what a model is run on: paths, PIL images, uint8 arrays or a tensor
    - ``pictures`` (h, w[, c]) uint8, one for each image: drawn behind the maps
    - ``index``: the image's number, from 0, negative from the end
    - ``layers``: numbers from 0, negative from the end; None is four of them
    - ``head``: a number from 0, or "mean" of all
    - ``query``: a patch's number or a pixel (x, y) of the picture, whose patch is outlined; None
      is CLS, or the mean over all patches where the model's answer isn't read from CLS
    - ``compare``: another model, or pass of the same images, each layer below that of the first
    - ``labels``: what the two are called

    Raises InputError for a model that is no plain Vision Transformer, for layers, heads, queries
    and images that don't exist, and for attention that isn't finite.
    """
    style = style or Style()
    subject = subject_of(model_or_pass, images, pictures, index)
    view = map_view(subject, query, compare, labels, interpolation, style)
    numbers = layers_of(layers, view.passes[0])
    for vit in view.passes:
        check_head(head, vit, numbers)
    maps = [
        [layer_map(vit, view.index, number, head, view.query) for vit in view.passes]
        for number in numbers
    ]
    of_head = "mean of heads" if head == "mean" else f"head {head}"
    captions = [f"layer {number} · {of_head}" for number in numbers]
    rows = _rows(view, captions, maps, shared_limits(maps, style), style.scale == "slice")
    return figure_of_rows(titled(title, f"attention of {view.query.label}"), of_head, rows, style)


def _rows(
    view: MapView,
    captions: Sequence[str],
    maps: Sequence[Sequence[NDArray[np.float32]]],
    limits: Sequence[Limits],
    own_bars: bool,
) -> list[list[Panel]]:
    """The heat of some layers, a row for each pass, then their overlays, until all are drawn.

    ``maps`` and ``limits`` are by layer, ``maps`` of a layer by pass.
    """
    rows: list[list[Panel]] = []
    for layers in row_ranges(len(maps), _COLUMNS):
        pairs_of_passes = [
            [
                map_panels(
                    view.backdrop,
                    f"{prefix}{captions[layer]}",
                    maps[layer][number],
                    limits[layer],
                    bar=own_bars or layer == layers[-1],
                )
                for layer in layers
            ]
            for number, prefix in enumerate(view.prefixes)
        ]
        rows += [[heat for heat, _ in pairs] for pairs in pairs_of_passes]
        # A bar at each overlay too, where each heat has one: the columns stay in line.
        rows += [
            [replace(overlay, bar=heat.bar) if own_bars else overlay for heat, overlay in pairs]
            for pairs in pairs_of_passes
        ]
    first = [image_panel(view.backdrop), *[blank_panel(view.backdrop)] * (len(rows) - 1)]
    return [[left, *row] for left, row in zip(first, rows, strict=True)]
