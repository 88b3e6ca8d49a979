"""View 3: where CLS, or a chosen patch, looks in several layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.inline import Figure
from fastcam.spec import Style
from fastcam.views.choice import Head, check_head, layers_of, query_of
from fastcam.views.maps import layer_map
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
    """Attention of CLS (or of ``query``) to the patches: a row for each layer, with image, heat
    and overlay.

    ``model_or_pass``: a model, with ``images`` as paths, PIL images, uint8 arrays or a tensor, or
    what ``run_vit`` returned; ``index``: which of its images. ``pictures`` (h, w[, c]) uint8: shown
    behind the maps. ``layers``: from 0, negative from the end; None: four of them. ``head``: a
    number from 0, or "mean" of all. ``query``: a patch's number or a pixel (x, y) of the picture,
    whose patch is outlined; models whose answer isn't read from CLS show the mean over all
    patches. ``compare``: another model, or pass of the same images, beside the first, called as
    ``labels`` say. The colours go from the lowest to the highest value of all maps of the figure,
    or with scale ``slice`` of those of each row. A map sums to at most 1.

    Raises InputError for a model that is no plain Vision Transformer, for layers, heads, queries
    and images that don't exist, and for attention that isn't finite.
    """
    style = style or Style()
    subject = subject_of(model_or_pass, images, pictures, index)
    vit, index = subject.vit, subject.index
    passes = [vit] if compare is None else [vit, pass_on(compare, vit)]
    chosen = layers_of(layers, vit)
    for each in passes:
        check_head(head, each, chosen)
    asked = query_of(query, subject)
    behind = backdrop_of(
        subject.picture, vit.grid, asked.patch, interpolation, style, style.panel_size
    )
    maps = [[layer_map(each, index, layer, head, asked) for each in passes] for layer in chosen]
    of_head = "mean of heads" if head == "mean" else f"head {head}"
    rows = []
    for layer, found, limits in zip(chosen, maps, shared_limits(maps, style), strict=True):
        said = f"layer {layer} · {of_head}"
        names = [said] if compare is None else [f"{label} · {said}" for label in labels]
        pairs = [
            map_panels(behind, name, cells, limits, bar=cells is found[-1])
            for name, cells in zip(names, found, strict=True)
        ]
        rows.append([image_panel(behind), *(p[0] for p in pairs), *(p[1] for p in pairs)])
    return figure_of_rows(titled(title, f"attention of {asked.who}"), of_head, rows, style)
