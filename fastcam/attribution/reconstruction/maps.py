"""Where in the support a query finds itself, and where it does not: maps of reconstruction.

Ridge regression (FRN, Wertheimer et al. 2021) has signed weights W = Q (SᵀS + λI)⁻¹ Sᵀ; mutual
attention (Bi-FRN, Wu et al. 2023) has weights that a softmax made positive, with rows that sum to
one. In both a row belongs to a place of the query and a column to a place of the support. The mass
a support place receives is the mean of its column over the query's places. The mean over the other
axis, the one a softmax normalised, would be 1 / s everywhere, and is never taken.

Everything is solved in float64 and returned in float32, for one class after the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fastcam.attribution.precision import exact
from fastcam.errors import InputError
from fastcam.models.fewshot.mutual import MutualReconstruction
from fastcam.models.fewshot.ridge import ridge_penalty, ridge_weights


@dataclass(frozen=True, eq=False)
class ClassMaps:
    """Maps of b queries against the k support images of one class, float32, raw.

    ``received`` (b, k, h, w): mass of each support place; where ``signed`` it may be negative, and
    0 is neither found nor avoided. ``error`` (b, h, w): squared distance, summed over channels,
    between each place of the query and its reconstruction; ``distance`` (b,) is its mean.
    In the other direction, for mutual attention only: ``returned`` (b, h, w), the mass query
    places receive from all support places, and ``support_error`` (b, k, h, w).
    """

    received: Tensor
    error: Tensor
    signed: bool
    returned: Tensor | None = None
    support_error: Tensor | None = None

    @property
    def distance(self) -> Tensor:
        return self.error.flatten(1).mean(1)


def ridge_maps(
    query: Tensor,
    support: Sequence[Tensor],
    grid: tuple[int, ...],
    alpha: float = 0.0,
    beta: float = 0.0,
    at: int | None = None,
) -> tuple[ClassMaps, ...]:
    """Maps of ``query`` features (b, h·w, d) for each class of ``support``, (k, h·w, d) each; k may
    differ. Places lie row by row over ``grid`` (h, w).

    λ = (k·h·w / d) · e^alpha + 1e-6, and the reconstruction is e^beta · W S (FRN, eq. 5 to 8); with
    0 and 0, where FRN starts, for features that no such network made. ``at``: the mass that this
    one place of the query gives, instead of the mean over all. Raises InputError without support,
    and where shapes don't fit or features are NaN or infinite.
    """
    _check(query, support, grid, at)
    found = []
    with exact(query):
        q = query.detach().double()
        asking = q.mean(1, keepdim=True) if at is None else q[:, at : at + 1]
        one = torch.eye(q.shape[-1], dtype=q.dtype, device=q.device)
        for images in support:
            s = images.detach().double().flatten(0, 1)
            # W = Q A: the mean of W's rows needs no n × k·r weights.
            a = ridge_weights(one, s, ridge_penalty(s.shape[0], s.shape[1], alpha))
            made = q @ (a @ s) if len(s) > s.shape[1] else (q @ a) @ s
            error = (torch.as_tensor(beta).exp() * made - q).square().sum(-1)
            received = (asking @ a).reshape(len(q), len(images), *grid).float()
            found.append(ClassMaps(received, _on(error, grid), signed=True))
    return tuple(found)


def mutual_maps(
    query: Tensor,
    support: Sequence[Tensor],
    grid: tuple[int, ...],
    attention: MutualReconstruction,
    at: int | None = None,
) -> tuple[ClassMaps, ...]:
    """The same by the softmax attention of Bi-FRN in both directions, with the projections of
    ``attention``; features, errors and ``at`` as in ``ridge_maps``. The errors are between
    values."""
    _check(query, support, grid, at)
    found = []
    with exact(query), torch.no_grad():
        ours = attention.project(query)
        q, k, v = (part.double() for part in (ours.q, ours.k, ours.v))
        for images in support:
            theirs = attention.project(images.flatten(0, 1))
            sq, sk, sv = (part.double() for part in (theirs.q, theirs.k, theirs.v))
            scale = q.shape[-1] ** -0.5
            to_query = (scale * (q @ sk.mT)).softmax(-1)
            to_support = (scale * (sq @ k.mT)).softmax(-1)
            support_error = (to_support @ v - sv).square().sum(-1)
            found.append(
                ClassMaps(
                    _received(to_query, len(images), grid, at),
                    _on((to_query @ sv - v).square().sum(-1), grid),
                    signed=False,
                    returned=_on(to_support.mean(1), grid),
                    support_error=support_error.reshape(len(q), -1, *grid).float(),
                )
            )
    return tuple(found)


def _received(weights: Tensor, images: int, grid: tuple[int, ...], at: int | None) -> Tensor:
    """(b, n, k·h·w) -> (b, k, h, w): the mean over the query's places, or one of them."""
    rows = weights.mean(1) if at is None else weights[:, at]
    return rows.reshape(len(weights), images, *grid).float()


def _on(values: Tensor, grid: tuple[int, ...]) -> Tensor:
    return values.reshape(len(values), *grid).float()


def _check(query: Tensor, support: Sequence[Tensor], grid: tuple[int, ...], at: int | None) -> None:
    check_support(support)
    places = (math.prod(grid), query.shape[-1])
    if at is not None and not 0 <= at < places[0]:
        raise InputError(f"query place {at}: there are {places[0]}, counted from 0 row by row")
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
