"""Views 1, 3, 4 and 7: the patches of an image, and the attention that they get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fastcam.attribution.attention.vit_pass import VitPass
from fastcam.attribution.request import Fusion
from fastcam.figures.figure_parts import Panel
from fastcam.figures.layout import row_ranges
from fastcam.figures.notebook_figure import Figure
from fastcam.figures.numbered_patches import grid_figure
from fastcam.figures.panel_order import ordered_panels, ordered_rows
from fastcam.figures.view_panels import (
    Backdrop,
    Limits,
    attention_note,
    blank_panel,
    figure_of_rows,
    image_panel,
    map_panels,
    shared_limits,
    shown_attention,
    titled,
)
from fastcam.jobs.explain.results import Head
from fastcam.jobs.vit.map_view import (
    MapView,
    MapViewOptions,
    head_maps,
    layer_map,
    map_view,
    rollout_map,
    with_map_keywords,
)
from fastcam.jobs.vit.selection import check_fusion, check_head, layer_of, layers_of
from fastcam.jobs.vit.subject import subject_of
from fastcam.options import PanelName, Style

# Layers, and heads, beside each other.
_LAYER_COLUMNS, _HEAD_COLUMNS = 5, 6


def patch_grid(
    model_or_pass: nn.Module | VitPass,
    images: Any = None,
    *,
    pictures: Sequence[NDArray[np.uint8]] | None = None,
    index: int = 0,
    title: str = "",
    style: Style | None = None,
) -> Figure:
    """The image with the patches' edges in red and each patch's number, row by row from 0.

    The number is what ``query`` of the other views takes; the patch's token has the tokens before
    the patches (CLS, registers) added. The picture is enlarged beyond the style's ``panel_size``
    until the numbers can be read. Arguments and errors are those of
    :func:`fastcam.views.attention_layers`.
    """
    subject = subject_of(model_or_pass, images, pictures, index)
    vit = subject.vit
    return grid_figure(subject.picture, vit.grid, vit.patch, vit.prefix, title, style)


@with_map_keywords
def attention_layers(
    model_or_pass: nn.Module | VitPass,
    images: Any = None,
    *,
    layers: Sequence[int] | None = None,
    head: Head = "mean",
    **options: Unpack[MapViewOptions],
) -> Figure:
    """Attention of CLS (or of ``query``) to the patches, layer by layer.

    The image stands at the left; beside it is the heat of every layer, and below that its overlay.
    The colors go from the lowest to the highest value of all maps of the figure, or with scale
    ``slice`` of those of each layer. Attention is shown as multiples of what every place would have
    if all had the same, in ``classic`` as it is: a map sums to at most 1.

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
    - ``title``: what the figure is called
    - ``style``: its look

    Raises InputError for a model that is no plain Vision Transformer, for layers, heads, queries
    and images that don't exist, and for attention that isn't finite.
    """
    view = map_view(model_or_pass, images, **options)
    numbers = layers_of(layers, view.passes[0])
    for vit in view.passes:
        check_head(head, vit, numbers)
    maps = [
        [
            shown_attention(layer_map(vit, view.index, number, head, view.query), view.style)
            for vit in view.passes
        ]
        for number in numbers
    ]
    of_head = "mean of heads" if head == "mean" else f"head {head}"
    captions = [f"layer {number} · {of_head}" for number in numbers]
    limits = shared_limits(maps, view.style)
    rows = _layer_rows(view, captions, maps, limits, view.style.scale == "slice")
    title = titled(view.title, f"attention of {view.query.label}")
    note = attention_note([values for of_layer in maps for values in of_layer], view.style)
    return figure_of_rows(title, of_head, rows, view.style, note)


def _layer_rows(
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
    for layers in row_ranges(len(maps), _LAYER_COLUMNS):
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
        heats = [[heat for heat, _ in pairs] for pairs in pairs_of_passes]
        # A bar at each overlay too, where each heat has one: the columns stay in line.
        overlays = [
            [replace(overlay, bar=heat.bar) if own_bars else overlay for heat, overlay in pairs]
            for pairs in pairs_of_passes
        ]
        first = blank_panel(view.backdrop) if rows else image_panel(view.backdrop)
        beside = [first, *[blank_panel(view.backdrop)] * (2 * len(view.passes) - 1)]
        rows += ordered_rows(beside, heats, overlays, view.style.panels)
    return rows or [[image_panel(view.backdrop)]]


@with_map_keywords
def all_heads(
    model_or_pass: nn.Module | VitPass,
    images: Any = None,
    *,
    layer: int = -1,
    **options: Unpack[MapViewOptions],
) -> Figure:
    """Attention of CLS (or of ``query``) to the patches by every head of one ``layer``.

    The figure has the image and the mean of the heads, then up to six heads in a row: heat, and
    below it the overlay. With ``compare`` the rows of the second model follow those of the first.
    Panels are half of the style's ``panel_size``; all maps have one scale. The other arguments,
    and what is raised, are those of :func:`fastcam.views.attention_layers`.
    """
    style = options.get("style") or Style()
    options["style"] = replace(style, panel_size=max(32, style.panel_size // 2))
    view = map_view(model_or_pass, images, **options)
    number = layer_of(layer, view.passes[0])
    raw = [head_maps(vit, view.index, number, view.query) for vit in view.passes]
    maps = [shown_attention(heads, style) for heads in raw]
    limits = shared_limits([maps], style)[0]
    rows: list[Sequence[Panel]] = []
    for prefix, raw_heads, heads in zip(view.prefixes, raw, maps, strict=True):
        of_all = shown_attention(raw_heads.mean(axis=0), style)
        mean = map_panels(view.backdrop, f"{prefix}mean of heads", of_all, limits, bar=True)
        rows.append(_row_of_maps(view, [mean]))
        rows += _head_rows(view.backdrop, prefix, heads, limits)
    title = titled(view.title, f"attention of {view.query.label}")
    note = attention_note(maps, style)
    return figure_of_rows(title, f"layer {number} · every head", rows, style, note)


def _head_rows(
    backdrop: Backdrop, prefix: str, heads: NDArray[np.float32], limits: Limits
) -> list[list[Panel]]:
    """The maps (heads, rows, columns) as rows of heat, each with its row of overlays below."""
    rows = []
    for numbers in row_ranges(len(heads), _HEAD_COLUMNS):
        pairs = [
            map_panels(backdrop, f"{prefix}head {n}", heads[n], limits, bar=n == numbers[-1])
            for n in numbers
        ]
        heats, overlays = zip(*pairs, strict=True)
        rows += ordered_rows((), [heats], [overlays], backdrop.style.panels)
    return rows


@with_map_keywords
def attention_rollout(
    model_or_pass: nn.Module | VitPass,
    images: Any = None,
    *,
    fusion: Fusion = "mean",
    discard_ratio: float = 0.0,
    start_layer: int = 0,
    **options: Unpack[MapViewOptions],
) -> Figure:
    """Attention rollout (Abnar & Zuidema 2020, equation 1): image, heat and overlay.

    ``fusion`` of heads, ``discard_ratio`` and ``start_layer`` are as for
    :func:`fastcam.attribution.attention.rollout.rollout`, which gets the attentions of the pass:
    the model isn't run again. The other arguments, and what is raised, are those of
    :func:`fastcam.views.attention_layers`.
    """
    check_fusion(fusion, discard_ratio)
    view = map_view(model_or_pass, images, **options)
    maps = [
        shown_attention(
            rollout_map(vit, view.index, view.query, fusion, discard_ratio, start_layer), view.style
        )
        for vit in view.passes
    ]
    limits = shared_limits([maps], view.style)[0]
    pairs = [
        map_panels(view.backdrop, f"{prefix}rollout", values, limits, bar=values is maps[-1])
        for prefix, values in zip(view.prefixes, maps, strict=True)
    ]
    note = f"{fusion} of heads · layers {start_layer} to {len(view.passes[0].layers) - 1}"
    if discard_ratio:
        note += f" · lowest {discard_ratio:.0%} left out"
    title = titled(view.title, f"attention rollout of {view.query.label}")
    rows = [_row_of_maps(view, pairs)]
    return figure_of_rows(title, note, rows, view.style, attention_note(maps, view.style))


def _row_of_maps(view: MapView, pairs: Sequence[tuple[Panel, Panel]]) -> tuple[Panel, ...]:
    """The image, the heat of each map, its overlays; or what the style says."""
    heats, overlays = zip(*pairs, strict=True)
    panels: dict[PanelName, Sequence[Panel]] = {
        "image": [image_panel(view.backdrop)],
        "heat": heats,
        "overlay": overlays,
    }
    return ordered_panels(panels, view.style.panels)
