"""Rules that make relevance of attention and its gradient, a block of queries at a time.

A is the attention (b, h, n, m) of a layer, ∇A = ∂y/∂A its gradient. Neither is ever whole in
memory: :class:`Attention` and :class:`AttentionGradient` recompute the rows that are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from fastcam.attribution.attention.records import Attention, AttentionGradient

# Numbers in one block of rows: 4 MiB of float32, so that the three that are made stay in the cache.
_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class LayerFlow:
    """One layer: ``attention`` A and its ``gradient`` ∇A."""

    attention: Attention
    gradient: AttentionGradient

    def blocks(self, first: int = 0) -> Iterator[slice]:
        """Queries from ``first`` on, in parts of which a matrix has a few MiB."""
        b, h, n, m = self.attention.shape
        step = max(1, _BLOCK // (b * h * m))
        for start in range(first, n, step):
            yield slice(start, min(start + step, n))

    def products(self, part: slice) -> Tensor:
        """∇A ⊙ A of some queries: (b, h, r, m) float32."""
        gradients = self.gradient.rows(part.start, part.stop)
        return gradients.mul_(self.attention.rows(part.start, part.stop))


def gradient_attention(layer: LayerFlow, query: int | None, first: int = 0) -> Tensor:
    """∇A ⊙ A of each head (b, h, m): of the query with the number ``query``, or the mean over the
    queries from ``first`` on. Signed."""
    if query is not None:
        return layer.products(slice(query, query + 1))[:, :, 0]
    n = layer.attention.shape[2]
    return torch.stack([layer.products(part).sum(2) for part in layer.blocks(first)]).sum(0) / (
        n - first
    )


def legrad(layer: LayerFlow) -> Tensor:
    """Mean of ReLU(∇A) over heads and queries (b, m) (Bousselham et al. 2024, eq. 6)."""
    _, h, n, _ = layer.attention.shape
    sums = [
        layer.gradient.rows(part.start, part.stop).relu_().sum((1, 2)) for part in layer.blocks()
    ]
    return torch.stack(sums).sum(0) / (h * n)


def chefer_step(layer: LayerFlow, relevance: Tensor) -> Tensor:
    """r (I + Ā) for rows r (b, n), with Ā the mean over heads of (∇A ⊙ A)⁺ (Chefer et al. 2021,
    ICCV, eq. 5 and 6).

    Their R ← R + Ā R, from the first layer to the last, is (I + Ā_L) … (I + Ā_1); a row of it goes
    through the layers from the last to the first, and no product of two matrices is made.
    """
    h = layer.attention.shape[1]
    total = relevance.clone()
    for part in layer.blocks():
        positive = layer.products(part).relu_().sum(1).div_(h)
        total += torch.einsum("br,brm->bm", relevance[:, part], positive)
    return total
