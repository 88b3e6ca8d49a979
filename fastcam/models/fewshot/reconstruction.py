"""Reconstruction of query features from support features: by ridge regression, or mutually.

Ridge regression is FRN's (Wertheimer et al. 2021), mutual attention Bi-FRN's (Wu et al. 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor, nn

from fastcam.errors import InputError

# Added to λ, so that the system can be solved however small e^α gets (the published code).
_LEAST = 1e-6


def ridge_penalty(positions: int, channels: int, alpha: Tensor | float) -> Tensor:
    """λ = (k·r / d) · e^α + 1e-6 (eq. 5): ``positions`` k·r of all a class's support images,
    ``channels`` d. A tensor without axes."""
    return positions / channels * torch.as_tensor(alpha).exp() + _LEAST


def ridge_weights(query: Tensor, support: Tensor, penalty: Tensor | float) -> Tensor:
    """W = Q (SᵀS + λI)⁻¹ Sᵀ of signed weights: ``query`` (…, n, d), ``support`` (…, s, d), and
    the result (…, n, s), so that W S is the best ridge reconstruction of Q.

    Solved for d × d or, where there are fewer support places than channels, in the equal form
    Q Sᵀ (S Sᵀ + λI)⁻¹ (Woodbury), s × s. In float32 at least, float64 for float64.
    """
    query, support = _checked(query, support)
    with torch.autocast(query.device.type, enabled=False):
        if support.shape[-2] < support.shape[-1]:
            inner = _with_penalty(support @ support.mT, penalty)
            weights: Tensor = torch.linalg.solve(inner, support @ query.mT).mT
        else:
            inner = _with_penalty(support.mT @ support, penalty)
            weights = query @ torch.linalg.solve(inner, support.mT)
    return weights


def ridge_reconstruction(
    query: Tensor, support: Tensor, penalty: Tensor | float, rho: Tensor | float = 1.0
) -> Tensor:
    """Q̄ = ρ · Q (SᵀS + λI)⁻¹ SᵀS (eq. 7 and 8), (…, n, d), without the n × s weights.

    Shapes, solving and precision as in ``ridge_weights``.
    """
    query, support = _checked(query, support)
    with torch.autocast(query.device.type, enabled=False):
        if support.shape[-2] < support.shape[-1]:
            inner = _with_penalty(support @ support.mT, penalty)
            hat = support.mT @ torch.linalg.solve(inner, support)
        else:
            gram = support.mT @ support
            hat = torch.linalg.solve(_with_penalty(gram, penalty), gram)
        reconstruction: Tensor = rho * (query @ hat)
    return reconstruction


class RidgeReconstruction(nn.Module):
    """How far queries are from their reconstruction out of each class's support.

    α, β (0 at the start: λ = k·r / d and ρ = 1) and the temperature are learned, as in FRN.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(()))
        self.beta = nn.Parameter(torch.zeros(()))
        self.temperature = nn.Parameter(torch.ones(()))

    def forward(self, support: Tensor, query: Tensor) -> Tensor:
        """Logits (b, classes): minus the squared distance to the reconstruction, its mean over
        places (eq. 9 and 10). ``support`` (classes, k·r, d), ``query`` (b, r, d)."""
        b, positions, d = query.shape
        flat = query.reshape(1, b * positions, d)
        penalty = ridge_penalty(support.shape[1], d, self.alpha)
        reconstruction = ridge_reconstruction(flat, support, penalty, self.beta.exp())
        distance = (reconstruction - flat).square().sum(-1).reshape(-1, b, positions).mean(-1)
        return -self.temperature * distance.T


def _checked(query: Tensor, support: Tensor) -> tuple[Tensor, Tensor]:
    if query.shape[-1] != support.shape[-1] or 0 in (support.shape[-2], support.shape[-1]):
        raise InputError(
            f"query features of shape {tuple(query.shape)} can't be reconstructed from support "
            f"features of shape {tuple(support.shape)}: both need the same channels, and the "
            "support at least one place"
        )
    kind = torch.promote_types(torch.promote_types(query.dtype, support.dtype), torch.float32)
    return query.to(kind), support.to(kind)


def _with_penalty(gram: Tensor, penalty: Tensor | float) -> Tensor:
    identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    return gram + torch.as_tensor(penalty, dtype=gram.dtype, device=gram.device) * identity


@dataclass(frozen=True, eq=False)
class Projections:
    """Features (…, places, d) as queries ``q``, keys ``k`` and values ``v`` of the same shape."""

    q: Tensor
    k: Tensor
    v: Tensor


class MutualReconstruction(nn.Module):
    """The query out of the support and the support out of the query, by softmax attention.

    Q̂ = softmax(Q_q S_kᵀ / √d) S_v is compared with Q_v, and Ŝ = softmax(S_q Q_kᵀ / √d) Q_v with
    S_v (the feature mutual reconstruction module). Projections, the two shares (0.5 each at the
    start) and the temperature are learned.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.shares = nn.Parameter(torch.full((2,), 0.5))
        self.temperature = nn.Parameter(torch.ones(()))

    def project(self, features: Tensor) -> Projections:
        return Projections(self.q(features), self.k(features), self.v(features))

    def forward(self, support: Tensor, query: Tensor) -> Tensor:
        """Logits (b, classes): minus both squared distances, each the mean over its places.

        ``support`` (classes, k·r, d), ``query`` (b, r, d).
        """
        b, classes = len(query), len(support)
        of_query, of_support = self.project(query), self.project(support)
        # Classes stand where heads do, so that a recorded attention is (b, classes, r, k·r).
        q, k, v = (
            t[:, None].expand(-1, classes, -1, -1) for t in (of_query.q, of_query.k, of_query.v)
        )
        sq, sk, sv = (
            t[None].expand(b, -1, -1, -1) for t in (of_support.q, of_support.k, of_support.v)
        )
        to_query = F.scaled_dot_product_attention(q, sk, sv)
        to_support = F.scaled_dot_product_attention(sq, k, v)
        query_error = (to_query - v).square().sum(-1).mean(-1)
        support_error = (to_support - sv).square().sum(-1).mean(-1)
        return -self.temperature * (self.shares[0] * query_error + self.shares[1] * support_error)
