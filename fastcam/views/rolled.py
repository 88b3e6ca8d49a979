"""View 7: attention rollout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.inline import Figure
from fastcam.spec import Style
from fastcam.views.choice import check_fusion, query_of
from fastcam.views.maps import rollout_map
from fastcam.views.panels import (
    Interpolation,
    backdrop_of,
    figure_of_rows,
    image_panel,
    map_panels,
    shared_limits,
    titled,
)
from fastcam.views.subject import pass_on, subject_of

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.vitpass import VitPass
    from fastcam.attribution.wanted import Fusion


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
    :func:`fastcam.attribution.rollout.rollout`, which is given the attentions of the pass: the
    model isn't run again. The other arguments, and what is raised, are those of
    :func:`fastcam.views.attention_layers`.
    """
    style = style or Style()
    check_fusion(fusion, discard_ratio)
    subject = subject_of(model_or_pass, images, pictures, index)
    vit, index = subject.vit, subject.index
    passes = [vit] if compare is None else [vit, pass_on(compare, vit)]
    asked = query_of(query, subject)
    behind = backdrop_of(
        subject.picture, vit.grid, asked.patch, interpolation, style, style.panel_size
    )
    maps = [rollout_map(p, index, asked, fusion, discard_ratio, start_layer) for p in passes]
    limits = shared_limits([maps], style)[0]
    names = ["rollout"] if compare is None else [f"{label} · rollout" for label in labels]
    pairs = [
        map_panels(behind, name, cells, limits, bar=cells is maps[-1])
        for name, cells in zip(names, maps, strict=True)
    ]
    row = [image_panel(behind), *(p[0] for p in pairs), *(p[1] for p in pairs)]
    how = f"{fusion} of heads · layers {start_layer} to {len(vit.layers) - 1}"
    if discard_ratio:
        how += f" · lowest {discard_ratio:.0%} left out"
    said = titled(title, f"attention rollout of {asked.who}")
    return figure_of_rows(said, how, [row], style)
