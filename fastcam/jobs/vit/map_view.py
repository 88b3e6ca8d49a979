"""What the views of maps share: the passes, the query, the picture behind, and the maps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fastcam.attribution.attention.records import Attention, Scores, Weights
from fastcam.attribution.attention.rollout import rollout
from fastcam.attribution.attention.vit_pass import VitPass
from fastcam.attribution.request import Fusion
from fastcam.errors import InputError
from fastcam.figures.panels import Backdrop, Interpolation, backdrop_of
from fastcam.jobs.explain.results import Head
from fastcam.jobs.vit.selection import Query, query_of
from fastcam.jobs.vit.subject import Subject, passes_of
from fastcam.options import Style


@dataclass(frozen=True, eq=False)
class MapView:
    """What the panels of a view of maps are made of.

    - ``passes``: one pass, or two that are compared
    - ``prefixes``: what the captions of each pass begin with
    - ``index``: the image's number in the passes, from 0
    - ``query``: the token whose attention is drawn
    - ``backdrop``: the picture that maps are drawn on
    """

    passes: tuple[VitPass, ...]
    prefixes: tuple[str, ...]
    index: int
    query: Query
    backdrop: Backdrop


def map_view(
    subject: Subject,
    query: int | tuple[int, int] | None,
    compare: nn.Module | VitPass | None,
    labels: tuple[str, str],
    interpolation: Interpolation,
    style: Style,
) -> MapView:
    """The arguments that these views share, checked.

    They, and what is raised, are those of :func:`fastcam.views.attention_layers`.
    """
    token = query_of(query, subject)
    backdrop = backdrop_of(
        subject.picture, subject.vit.grid, token.patch, interpolation, style, style.panel_size
    )
    passes = passes_of(subject.vit, compare)
    prefixes = ("",) if len(passes) == 1 else tuple(f"{label} · " for label in labels)
    return MapView(passes, prefixes, subject.index, token, backdrop)


def head_maps(vit: VitPass, index: int, layer: int, query: Query) -> NDArray[np.float32]:
    """Attention (heads, rows, columns) float32 of image ``index``'s query to the patches.

    Only the row of the query is computed. A row sums to 1 with the tokens before the patches,
    which are left out. InputError where it isn't finite.
    """
    attention = of_image(vit.layers[layer].attention, index)
    with torch.no_grad():
        row = attention.mean_row(vit.prefix) if query.token is None else attention.row(query.token)
    return _on_grid(row[0], vit, f"layer {layer} ({vit.layers[layer].name})")


def layer_map(
    vit: VitPass, index: int, layer: int, head: Head, query: Query
) -> NDArray[np.float32]:
    """Attention (rows, columns) float32 of one head, or of the mean of all heads."""
    heads = head_maps(vit, index, layer, query)
    values: NDArray[np.float32] = heads.mean(axis=0) if head == "mean" else heads[head]
    return values


def rollout_map(
    vit: VitPass, index: int, query: Query, fusion: Fusion, discard_ratio: float, start_layer: int
) -> NDArray[np.float32]:
    """Rollout (rows, columns) float32 to the query.

    See :func:`fastcam.attribution.attention.rollout.rollout` for the options.
    """
    layers = [of_image(layer.attention, index) for layer in vit.layers]
    token: int | Tensor
    if query.token is None:
        n = layers[0].shape[2]
        token = torch.zeros(n, device=vit.batch.device)
        token[vit.prefix :] = 1 / (n - vit.prefix)
    else:
        token = query.token
    return _on_grid(rollout(layers, token, fusion, discard_ratio, start_layer)[0], vit, "rollout")


def of_image(attention: Attention, index: int) -> Attention:
    """Attention (1, heads, n, m) of one image of a batch; it shares the memory of the batch's."""
    image = slice(index, index + 1)
    if isinstance(attention, Weights):
        return Weights(attention.values[image])
    if not isinstance(attention, Scores):
        raise TypeError(f"attention is kept as {type(attention).__name__}")
    mask = attention.mask
    if mask is not None and mask.ndim == 4 and mask.shape[0] > 1:
        mask = mask[image]
    return replace(attention, q=attention.q[image], k=attention.k[image], mask=mask)


def _on_grid(tokens: Tensor, vit: VitPass, what: str) -> NDArray[np.float32]:
    """Values (..., tokens) as (..., rows, columns), without the tokens before the patches."""
    values: NDArray[np.float32] = tokens[..., vit.prefix :].float().cpu().numpy()
    if not np.isfinite(values).all():
        raise InputError(f"{what} holds NaN or infinity; look at the model's weights")
    return values.reshape(*values.shape[:-1], *vit.grid)
