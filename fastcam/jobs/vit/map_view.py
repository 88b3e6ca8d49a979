"""What the views of maps begin with: which passes, whose attention, and the picture behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.figures.panels import Backdrop, Interpolation, backdrop_of
from fastcam.jobs.vit.selection import Head, Query, query_of
from fastcam.jobs.vit.subject import pass_on, subject_of
from fastcam.options import Style

if TYPE_CHECKING:
    from fastcam.attribution.attention.records import Attention
    from fastcam.attribution.attention.vit_pass import VitPass
    from fastcam.attribution.request import Fusion

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.attention.vit_pass import VitPass


@dataclass(frozen=True, eq=False)
class MapView:
    """``passes``: one, or two to compare, and what captions of each begin with (``prefixes``);
    ``index``: the image in them; ``query``: whose attention; ``behind``: what maps are drawn on."""

    passes: tuple[VitPass, ...]
    prefixes: tuple[str, ...]
    index: int
    query: Query
    behind: Backdrop


def map_view(
    model_or_pass: nn.Module | VitPass,
    images: Any,
    pictures: Sequence[NDArray[np.uint8]] | None,
    index: int,
    query: int | tuple[int, int] | None,
    interpolation: Interpolation,
    compare: nn.Module | VitPass | None,
    labels: tuple[str, str],
    style: Style,
    side: int,
) -> MapView:
    """The arguments that these views share, checked. ``side``: pixels of a panel's longer side.

    Raises InputError as :func:`fastcam.views.attention_layers` says.
    """
    subject = subject_of(model_or_pass, images, pictures, index)
    vit = subject.vit
    asked = query_of(query, subject)
    behind = backdrop_of(subject.picture, vit.grid, asked.patch, interpolation, style, side)
    if compare is None:
        return MapView((vit,), ("",), subject.index, asked, behind)
    prefixes = tuple(f"{label} · " for label in labels)
    return MapView((vit, pass_on(compare, vit)), prefixes, subject.index, asked, behind)


def head_maps(vit: VitPass, index: int, layer: int, query: Query) -> NDArray[np.float32]:
    """Attention (heads, rows, columns) float32 of image ``index``'s query to the patches.

    Only the row that is wanted is computed. A row sums to 1 with the tokens before the patches,
    which are left out. InputError where it isn't finite.
    """
    import torch

    own = of_image(vit.layers[layer].attention, index)
    with torch.no_grad():
        row = own.mean_row(vit.prefix) if query.token is None else own.row(query.token)
    return _placed(row[0], vit, f"layer {layer} ({vit.layers[layer].name})")


def layer_map(
    vit: VitPass, index: int, layer: int, head: Head, query: Query
) -> NDArray[np.float32]:
    """Attention (rows, columns) float32 of one head, or of the mean of all heads."""
    heads = head_maps(vit, index, layer, query)
    chosen: NDArray[np.float32] = heads.mean(axis=0) if head == "mean" else heads[head]
    return chosen


def rollout_map(
    vit: VitPass, index: int, query: Query, fusion: Fusion, discard_ratio: float, start_layer: int
) -> NDArray[np.float32]:
    """Rollout (rows, columns) float32 to the query; see ``fastcam.attribution.attention.rollout.rollout``."""
    import torch

    from fastcam.attribution.attention.rollout import rollout

    layers = [of_image(layer.attention, index) for layer in vit.layers]
    token: Any = query.token
    if token is None:
        n = layers[0].shape[2]
        token = torch.zeros(n, device=vit.batch.device)
        token[vit.prefix :] = 1 / (n - vit.prefix)
    return _placed(rollout(layers, token, fusion, discard_ratio, start_layer)[0], vit, "rollout")


def of_image(attention: Attention, index: int) -> Attention:
    """Attention (1, heads, n, m) of one image of a batch; it shares the memory of the batch's."""
    from fastcam.attribution.attention.records import Scores, Weights

    one = slice(index, index + 1)
    if isinstance(attention, Weights):
        return Weights(attention.given[one])
    if not isinstance(attention, Scores):
        raise TypeError(f"attention is kept as {type(attention).__name__}")
    mask = attention.mask
    if mask is not None and mask.ndim == 4 and mask.shape[0] > 1:
        mask = mask[one]
    return replace(attention, q=attention.q[one], k=attention.k[one], mask=mask)


def _placed(values: Any, vit: VitPass, what: str) -> NDArray[np.float32]:
    """Values (..., tokens) as (..., rows, columns), without the tokens before the patches."""
    found: NDArray[np.float32] = values[..., vit.prefix :].float().cpu().numpy()
    if not np.isfinite(found).all():
        raise InputError(f"{what} holds NaN or infinity; look at the model's weights")
    return found.reshape(*found.shape[:-1], *vit.grid)
