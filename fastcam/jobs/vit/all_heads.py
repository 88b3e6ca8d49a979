"""View 4: where each head of one layer looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.figures.figure import Figure
from fastcam.figures.panels import (
    Backdrop,
    Interpolation,
    Limits,
    figure_of_rows,
    image_panel,
    in_rows,
    map_panels,
    shared_limits,
    titled,
)
from fastcam.figures.sheet import Panel
from fastcam.jobs.vit.map_view import head_maps, map_view
from fastcam.jobs.vit.selection import layer_of
from fastcam.options import Style

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.attention.vit_pass import VitPass

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

    The image, the mean of the heads, then up to six heads in a row: heat, and below it the overlay.
    With ``compare`` the rows of the second model follow those of the first. Panels are half of the
    style's ``panel_size``; all maps have one scale. The other arguments, and what is raised, are
    those of :func:`fastcam.views.attention_layers`.
    """
    style = style or Style()
    view = map_view(
        model_or_pass, images, pictures, index, query, interpolation, compare, labels, style,
        max(32, style.panel_size // 2),
    )  # fmt: skip
    at = layer_of(layer, view.passes[0])
    maps = [head_maps(each, view.index, at, view.query) for each in view.passes]
    limits = shared_limits([maps], style)[0]
    rows = []
    for prefix, heads in zip(view.prefixes, maps, strict=True):
        whole = map_panels(view.behind, f"{prefix}mean of heads", heads.mean(axis=0), limits, True)
        rows.append([image_panel(view.behind), *whole])
        rows += _grid(view.behind, prefix, heads, limits)
    return figure_of_rows(
        titled(title, f"attention of {view.query.who}"), f"layer {at} · every head", rows, style
    )


def _grid(
    behind: Backdrop, prefix: str, heads: NDArray[np.float32], limits: Limits
) -> list[list[Panel]]:
    rows = []
    for numbers in in_rows(len(heads), _COLUMNS):
        pairs = [
            map_panels(behind, f"{prefix}head {n}", heads[n], limits, bar=n == numbers[-1])
            for n in numbers
        ]
        rows += [[heat for heat, _ in pairs], [overlay for _, overlay in pairs]]
    return rows
