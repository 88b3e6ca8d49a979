"""Mutual reconstruction by attention, in both directions (Bi-FRN, Wu et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor, nn


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
