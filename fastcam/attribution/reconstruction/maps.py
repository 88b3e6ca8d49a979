"""Where in the support a query finds itself, and where it does not: maps of reconstruction.

Ridge regression (FRN, Wertheimer et al. 2021) has signed weights W = Q (SᵀS + λI)⁻¹ Sᵀ; mutual
attention (Bi-FRN, Wu et al. 2023) has weights that a softmax made positive, with rows that sum to
one. In both a row belongs to a place of the query and a column to a place of the support. The mass
a support place receives is the mean of its column over the query's places. The mean over the other
axis, the one a softmax normalized, would be 1 / s everywhere, and is never taken.

Everything is solved in float64 and returned in float32, for one class after the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fastcam.attribution.modules import no_autocast
from fastcam.errors import InputError
from fastcam.models.fewshot.reconstruction import MutualReconstruction, ridge_penalty, ridge_weights


@dataclass(frozen=True, eq=False)
class ClassMaps:
    """Maps of b queries against the k support images of one class, float32, raw.

    - ``received`` (b, k, h, w), mass of each support place
    - ``error`` (b, h, w), squared distance, summed over channels, between each place of the query
      and its reconstruction
    - ``signed``: whether ``received`` may be negative; then 0 is neither found nor avoided
    - ``returned`` (b, h, w), mass that query places receive from all support places; mutual
      attention only
    - ``support_error`` (b, k, h, w), as ``error``, for places of the support; mutual attention only
    """

    received: Tensor
    error: Tensor
    signed: bool
    returned: Tensor | None = None
    support_error: Tensor | None = None

    @property
    def distance(self) -> Tensor:
        """(b,): the mean of ``error`` over the query's places."""
        return self.error.flatten(1).mean(1)


def ridge_maps(
    query: Tensor,
    support: Sequence[Tensor],
    grid: tuple[int, ...],
    alpha: float = 0.0,
    beta: float = 0.0,
    query_index: int | None = None,
) -> tuple[ClassMaps, ...]:
    """Maps of ``query`` features (b, h·w, d) for each class of ``support``, (k, h·w, d) each; k may
    differ. Places lie row by row over ``grid`` (h, w).

    λ = (k·h·w / d) · e^alpha + 1e-6, and the reconstruction is e^beta · W S (FRN, eq. 5 to 8); with
    0 and 0, where FRN starts, for features that no such network made. ``query_index``: the mass
    that this one place of the query gives, instead of the mean over all. Raises InputError without
    support, and where shapes don't fit or features are NaN or infinite.
    """
    _check(query, support, grid, query_index)
    class_maps = []
    with no_autocast(query):
        q = query.detach().double()
        query_rows = (
            q.mean(1, keepdim=True) if query_index is None else q[:, query_index : query_index + 1]
        )
        identity = torch.eye(q.shape[-1], dtype=q.dtype, device=q.device)
        for images in support:
            s = images.detach().double().flatten(0, 1)
            # W = Q A: the mean of W's rows needs no n × k·r weights.
            a = ridge_weights(identity, s, ridge_penalty(s.shape[0], s.shape[1], alpha))
            reconstructed = q @ (a @ s) if len(s) > s.shape[1] else (q @ a) @ s
            error = (torch.as_tensor(beta).exp() * reconstructed - q).square().sum(-1)
            received = (query_rows @ a).reshape(len(q), len(images), *grid).float()
            class_maps.append(ClassMaps(received, _on_grid(error, grid), signed=True))
    return tuple(class_maps)


def mutual_maps(
    query: Tensor,
    support: Sequence[Tensor],
    grid: tuple[int, ...],
    attention: MutualReconstruction,
    query_index: int | None = None,
) -> tuple[ClassMaps, ...]:
    """The same by the softmax attention of Bi-FRN in both directions, with the projections of
    ``attention``; features, errors and ``query_index`` as in ``ridge_maps``. The errors are between
    values."""
    _check(query, support, grid, query_index)
    class_maps = []
    with no_autocast(query), torch.no_grad():
        query_parts = attention.project(query)
        q, k, v = (part.double() for part in (query_parts.q, query_parts.k, query_parts.v))
        for images in support:
            support_parts = attention.project(images.flatten(0, 1))
            sq, sk, sv = (
                part.double() for part in (support_parts.q, support_parts.k, support_parts.v)
            )
            scale = q.shape[-1] ** -0.5
            to_query = (scale * (q @ sk.mT)).softmax(-1)
            to_support = (scale * (sq @ k.mT)).softmax(-1)
            support_error = (to_support @ v - sv).square().sum(-1)
            class_maps.append(
                ClassMaps(
                    _received_maps(to_query, len(images), grid, query_index),
                    _on_grid((to_query @ sv - v).square().sum(-1), grid),
                    signed=False,
                    returned=_on_grid(to_support.mean(1), grid),
                    support_error=support_error.reshape(len(q), -1, *grid).float(),
                )
            )
    return tuple(class_maps)


def _received_maps(
    weights: Tensor, images: int, grid: tuple[int, ...], query_index: int | None
) -> Tensor:
    """(b, n, k·h·w) -> (b, k, h, w): the mean over the query's places, or one of them."""
    rows = weights.mean(1) if query_index is None else weights[:, query_index]
    return rows.reshape(len(weights), images, *grid).float()


def _on_grid(values: Tensor, grid: tuple[int, ...]) -> Tensor:
    return values.reshape(len(values), *grid).float()


def _check(
    query: Tensor, support: Sequence[Tensor], grid: tuple[int, ...], query_index: int | None
) -> None:
    check_support(support)
    places = (math.prod(grid), query.shape[-1])
    if query_index is not None and not 0 <= query_index < places[0]:
        raise InputError(
            f"query place {query_index}: there are {places[0]}, counted from 0 row by row"
        )
    for features in (query, *support):
        if features.ndim != 3 or tuple(features.shape[1:]) != places:
            raise InputError(
                f"features of shape {tuple(features.shape)} can't be compared over a grid of "
                f"{'x'.join(map(str, grid))}: query and support must be (images, {places[0]}, "
                f"{places[1]})"
            )
        if not bool(features.isfinite().all()):
            raise InputError("features hold NaN or infinite values: no reconstruction can be made")


def check_support(support: Sequence[Tensor]) -> None:
    """InputError unless every class, and one at least, has images."""
    if not support or any(len(images) == 0 for images in support):
        raise InputError(
            "reconstruction compares with support images: give --support for each class"
        )
