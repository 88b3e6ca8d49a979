"""View 4: the attention of each head of one layer."""

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
    Backdrop,
    Interpolation,
    Limits,
    figure_of_rows,
    image_panel,
    map_panels,
    row_ranges,
    shared_limits,
    titled,
)
from fastcam.figures.sheet import Panel
from fastcam.jobs.vit.map_view import head_maps, map_view
from fastcam.jobs.vit.selection import layer_of
from fastcam.jobs.vit.subject import subject_of
from fastcam.options import Style

_COLUMNS = 6


def all_heads(
    model_or_pass: nn.Module | VitPass,
    images: Any = None,
    *,
    pictures: Sequence[NDArray[np.uint8]] | None = None,
    index: int = 0,
    layer: int = -1,
    query: int | tuple[int, int] | None = None,
    interpolation: Interpolation = "bilinear",
    compare: nn.Module | VitPass | None = None,
    labels: tuple[str, str] = ("first", "second"),
    title: str = "",
    style: Style | None = None,
) -> Figure:
    """Attention of CLS (or of ``query``) to the patches by every head of one ``layer``.

    The figure has the image and the mean of the heads, then up to six heads in a row: heat, and
    below it the overlay. With ``compare`` the rows of the second model follow those of the first.
    Panels are half of the style's ``panel_size``; all maps have one scale. The other arguments,
    and what is raised, are those of :func:`fastcam.views.attention_layers`.
    """
    style = style or Style()
    subject = subject_of(model_or_pass, images, pictures, index)
    half = replace(style, panel_size=max(32, style.panel_size // 2))
    view = map_view(subject, query, compare, labels, interpolation, half)
    number = layer_of(layer, view.passes[0])
    maps = [head_maps(vit, view.index, number, view.query) for vit in view.passes]
    limits = shared_limits([maps], style)[0]
    rows = []
    for prefix, heads in zip(view.prefixes, maps, strict=True):
        mean = map_panels(
            view.backdrop, f"{prefix}mean of heads", heads.mean(axis=0), limits, bar=True
        )
        rows.append([image_panel(view.backdrop), *mean])
        rows += _head_rows(view.backdrop, prefix, heads, limits)
    return figure_of_rows(
        titled(title, f"attention of {view.query.label}"),
        f"layer {number} · every head",
        rows,
        style,
    )


def _head_rows(
    backdrop: Backdrop, prefix: str, heads: NDArray[np.float32], limits: Limits
) -> list[list[Panel]]:
    """The maps (heads, rows, columns) as rows of heat, each with its row of overlays below."""
    rows = []
    for numbers in row_ranges(len(heads), _COLUMNS):
        pairs = [
            map_panels(backdrop, f"{prefix}head {n}", heads[n], limits, bar=n == numbers[-1])
            for n in numbers
        ]
        rows += [[heat for heat, _ in pairs], [overlay for _, overlay in pairs]]
    return rows
