"""View 4: where each head of one layer looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.figures.sheet import Panel
from fastcam.inline import Figure
from fastcam.spec import Style
from fastcam.views.choice import layer_of, query_of
from fastcam.views.maps import head_maps
from fastcam.views.panels import (
    Backdrop,
    Interpolation,
    Limits,
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
    subject = subject_of(model_or_pass, images, pictures, index)
    vit = subject.vit
    passes = [vit] if compare is None else [vit, pass_on(compare, vit)]
    at = layer_of(layer, vit)
    asked = query_of(query, subject)
    side = max(32, style.panel_size // 2)
    behind = backdrop_of(subject.picture, vit.grid, asked.patch, interpolation, style, side)
    maps = [head_maps(each, subject.index, at, asked) for each in passes]
    limits = shared_limits([maps], style)[0]
    rows = []
    for number, heads in enumerate(maps):
        label = "" if compare is None else f"{labels[number]} · "
        mean = map_panels(behind, f"{label}mean of heads", heads.mean(axis=0), limits, bar=True)
        rows.append([image_panel(behind), *mean])
        rows += _grid(behind, label, heads, limits)
    return figure_of_rows(
        titled(title, f"attention of {asked.who}"), f"layer {at} · every head", rows, style
    )


def _grid(
    behind: Backdrop, label: str, heads: NDArray[np.float32], limits: Limits
) -> list[list[Panel]]:
    count = len(heads)
    across = math.ceil(count / math.ceil(count / _COLUMNS))
    rows = []
    for start in range(0, count, across):
        numbers = range(start, min(start + across, count))
        pairs = [
            map_panels(behind, f"{label}head {n}", heads[n], limits, bar=n == numbers[-1])
            for n in numbers
        ]
        rows += [[heat for heat, _ in pairs], [overlay for _, overlay in pairs]]
    return rows
