"""What the views of maps share: their keywords, the passes, the query, the picture, the maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from inspect import Parameter, signature
from typing import Any, ParamSpec, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fastcam.attribution.attention.records import Attention, Scores, Weights
from fastcam.attribution.attention.rollout import rollout
from fastcam.attribution.attention.vit_pass import VitPass
from fastcam.attribution.request import Fusion
from fastcam.errors import InputError
from fastcam.figures.notebook_figure import Figure
from fastcam.figures.view_panels import Backdrop, Interpolation, backdrop_of
from fastcam.jobs.explain.results import Head
from fastcam.jobs.vit.selection import Query, query_of
from fastcam.jobs.vit.subject import passes_of, subject_of
from fastcam.options import Style

_Own = ParamSpec("_Own")


class MapViewOptions(TypedDict, total=False):
    """The keywords of :func:`map_view`, which are keywords of every view of maps."""

    pictures: Sequence[NDArray[np.uint8]] | None
    index: int
    query: int | tuple[int, int] | None
    interpolation: Interpolation
    compare: nn.Module | VitPass | None
    labels: tuple[str, str]
    title: str
    style: Style | None


@dataclass(frozen=True, eq=False)
class MapView:
    """What the panels of a view of maps are made of.

    - ``passes``: one pass, or two that are compared
    - ``prefixes``: what the captions of each pass begin with
    - ``index``: the image's number in the passes, from 0
    - ``query``: the token whose attention is drawn
    - ``backdrop``: the picture that maps are drawn on
    - ``title``: what the figure is called, "" for nothing
    - ``style``: the look of the figure
    """

    passes: tuple[VitPass, ...]
    prefixes: tuple[str, ...]
    index: int
    query: Query
    backdrop: Backdrop
    title: str
    style: Style


def map_view(
    model_or_pass: nn.Module | VitPass,
    images: Any = None,
    *,
    pictures: Sequence[NDArray[np.uint8]] | None = None,
    index: int = 0,
    query: int | tuple[int, int] | None = None,
    interpolation: Interpolation = "bilinear",
    compare: nn.Module | VitPass | None = None,
    labels: tuple[str, str] = ("first", "second"),
    title: str = "",
    style: Style | None = None,
) -> MapView:
    """The arguments that these views share, checked; the model is run where there is no pass.

    They, and what is raised, are those of :func:`fastcam.views.attention_layers`.
    """
    style = style or Style()
    subject = subject_of(model_or_pass, images, pictures, index)
    token = query_of(query, subject)
    backdrop = backdrop_of(
        subject.picture, subject.vit.grid, token.patch, interpolation, style, style.panel_size
    )
    passes = passes_of(subject.vit, compare)
    prefixes = ("",) if len(passes) == 1 else tuple(f"{label} · " for label in labels)
    return MapView(passes, prefixes, subject.index, token, backdrop, title, style)


def with_map_keywords(view: Callable[_Own, Figure]) -> Callable[_Own, Figure]:
    """A view of maps whose signature, as ``help`` shows it, has the keywords of :func:`map_view`
    in place of ``**options``."""
    own = signature(view)
    shared = [p for p in signature(map_view).parameters.values() if p.kind is p.KEYWORD_ONLY]
    parameters = [p for p in own.parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    vars(view)["__signature__"] = own.replace(parameters=[*parameters, *shared])
    return view


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


def _on_grid(tokens: Tensor, vit: VitPass, source: str) -> NDArray[np.float32]:
    """Values (..., tokens) as (..., rows, columns), without the tokens before the patches.

    InputError, naming their ``source``, where they aren't finite.
    """
    values: NDArray[np.float32] = tokens[..., vit.prefix :].float().cpu().numpy()
    if not np.isfinite(values).all():
        raise InputError(f"{source} holds NaN or infinity; look at the model's weights")
    return values.reshape(*values.shape[:-1], *vit.grid)
