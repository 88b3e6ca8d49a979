"""View 7: attention rollout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
from fastcam.options import Style

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.attention.vit_pass import VitPass
    from fastcam.attribution.request import Fusion


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

    ``fusion`` of heads, ``discard_ratio`` and ``start_layer`` as for
    :func:`fastcam.attribution.attention.rollout.rollout`, which is given the attentions of the pass: the
    model isn't run again. The other arguments, and what is raised, are those of
    :func:`fastcam.views.attention_layers`.
    """
    style = style or Style()
    check_fusion(fusion, discard_ratio)
    view = map_view(
        model_or_pass, images, pictures, index, query, interpolation, compare, labels, style,
        style.panel_size,
    )  # fmt: skip
    maps = [
        rollout_map(each, view.index, view.query, fusion, discard_ratio, start_layer)
        for each in view.passes
    ]
    limits = shared_limits([maps], style)[0]
    pairs = [
        map_panels(view.behind, f"{prefix}rollout", cells, limits, bar=cells is maps[-1])
        for prefix, cells in zip(view.prefixes, maps, strict=True)
    ]
    row = [image_panel(view.behind), *(p[0] for p in pairs), *(p[1] for p in pairs)]
    how = f"{fusion} of heads · layers {start_layer} to {len(view.passes[0].layers) - 1}"
    if discard_ratio:
        how += f" · lowest {discard_ratio:.0%} left out"
    said = titled(title, f"attention rollout of {view.query.who}")
    return figure_of_rows(said, how, [row], style)
