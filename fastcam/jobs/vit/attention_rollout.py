"""View 7: attention rollout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fastcam.attribution.attention.vit_pass import VitPass
from fastcam.attribution.request import Fusion
from fastcam.figures.figure import Figure
from fastcam.figures.panels import (
    Interpolation,
    figure_of_rows,
    image_panel,
    map_panels,
    shared_limits,
    titled,
)
from fastcam.jobs.vit.map_view import map_view, rollout_map
from fastcam.jobs.vit.selection import check_fusion
from fastcam.jobs.vit.subject import subject_of
from fastcam.options import Style


def attention_rollout(
    model_or_pass: nn.Module | VitPass,
    images: Any = None,
    *,
    pictures: Sequence[NDArray[np.uint8]] | None = None,
    index: int = 0,
    fusion: Fusion = "mean",
    discard_ratio: float = 0.0,
    start_layer: int = 0,
    query: int | tuple[int, int] | None = None,
    interpolation: Interpolation = "bilinear",
    compare: nn.Module | VitPass | None = None,
    labels: tuple[str, str] = ("first", "second"),
    title: str = "",
    style: Style | None = None,
) -> Figure:
    """Attention rollout (Abnar & Zuidema 2020, equation 1): image, heat and overlay.

    ``fusion`` of heads, ``discard_ratio`` and ``start_layer`` are as for
    :func:`fastcam.attribution.attention.rollout.rollout`, which gets the attentions of the pass:
    the model isn't run again. The other arguments, and what is raised, are those of
    :func:`fastcam.views.attention_layers`.
    """
    style = style or Style()
    check_fusion(fusion, discard_ratio)
    subject = subject_of(model_or_pass, images, pictures, index)
    view = map_view(subject, query, compare, labels, interpolation, style)
    maps = [
        rollout_map(vit, view.index, view.query, fusion, discard_ratio, start_layer)
        for vit in view.passes
    ]
    limits = shared_limits([maps], style)[0]
    pairs = [
        map_panels(view.backdrop, f"{prefix}rollout", values, limits, bar=values is maps[-1])
        for prefix, values in zip(view.prefixes, maps, strict=True)
    ]
    heats, overlays = zip(*pairs, strict=True)
    options = f"{fusion} of heads · layers {start_layer} to {len(view.passes[0].layers) - 1}"
    if discard_ratio:
        options += f" · lowest {discard_ratio:.0%} left out"
    return figure_of_rows(
        titled(title, f"attention rollout of {view.query.label}"),
        options,
        [[image_panel(view.backdrop), *heats, *overlays]],
        style,
    )
