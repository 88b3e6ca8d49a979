"""View 3: where CLS, or a chosen patch, looks in several layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.figures.figure import Figure
from fastcam.figures.panels import (
    Interpolation,
    Limits,
    blank_panel,
    figure_of_rows,
    image_panel,
    in_rows,
    map_panels,
    shared_limits,
    titled,
)
from fastcam.figures.sheet import Panel
from fastcam.jobs.vit.map_view import MapView, layer_map, map_view
from fastcam.jobs.vit.selection import Head, check_head, layers_of
from fastcam.options import Style

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.attention.vit_pass import VitPass

    Maps = list[list[NDArray[np.float32]]]

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
    """Attention of CLS (or of ``query``) to the patches: beside the image every layer as heat, and
    below it as overlay.

    ``model_or_pass``: a model, with ``images`` as paths, PIL images, uint8 arrays or a tensor, or
    what ``run_vit`` returned; ``index``: which of its images. ``pictures`` (h, w[, c]) uint8: shown
    behind the maps. ``layers``: from 0, negative from the end; None: four of them. ``head``: a
    number from 0, or "mean" of all. ``query``: a patch's number or a pixel (x, y) of the picture,
    whose patch is outlined; models whose answer isn't read from CLS show the mean over all
    patches. ``compare``: another model, or pass of the same images, each layer below that of the
    first, called as ``labels`` say. The colours go from the lowest to the highest value of all maps
    of the figure, or with scale ``slice`` of those of each layer. A map sums to at most 1.

    Raises InputError for a model that is no plain Vision Transformer, for layers, heads, queries
    and images that don't exist, and for attention that isn't finite.
    """
    style = style or Style()
    view = map_view(
        model_or_pass, images, pictures, index, query, interpolation, compare, labels, style,
        style.panel_size,
    )  # fmt: skip
    chosen = layers_of(layers, view.passes[0])
    for each in view.passes:
        check_head(head, each, chosen)
    maps = [
        [layer_map(each, view.index, layer, head, view.query) for each in view.passes]
        for layer in chosen
    ]
    of_head = "mean of heads" if head == "mean" else f"head {head}"
    captions = [f"layer {layer} · {of_head}" for layer in chosen]
    rows = _rows(view, captions, maps, shared_limits(maps, style), style.scale == "slice")
    return figure_of_rows(titled(title, f"attention of {view.query.who}"), of_head, rows, style)


def _rows(
    view: MapView, captions: list[str], maps: Maps, limits: list[Limits], own_bars: bool
) -> list[list[Panel]]:
    """The heat of some layers, a row for each pass, then their overlays, until all are there."""
    rows: list[list[Panel]] = []
    for part in in_rows(len(maps), _COLUMNS):
        pairs = [
            [
                map_panels(
                    view.behind, f"{prefix}{captions[at]}", maps[at][place], limits[at],
                    bar=own_bars or at == part[-1],
                )
                for at in part
            ]
            for place, prefix in enumerate(view.prefixes)
        ]  # fmt: skip
        rows += [[heat for heat, _ in each] for each in pairs]
        # A bar at each overlay too, where each heat has one: the columns stay in line.
        rows += [
            [replace(overlay, bar=heat.bar) if own_bars else overlay for heat, overlay in each]
            for each in pairs
        ]
    first = [image_panel(view.behind), *[blank_panel(view.behind)] * (len(rows) - 1)]
    return [[left, *row] for left, row in zip(first, rows, strict=True)]
