"""Rules that make relevance of attention and its gradient, a block of queries at a time.

A is the attention (b, h, n, m) of a layer, ∇A = ∂y/∂A its gradient. Neither is ever whole in
memory: :class:`Attention` and :class:`AttentionGradient` recompute the rows that are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


def token_relevance(layers: Sequence[LayerFlow], read: Tensor) -> Tensor:
    """Relevance (b, t) of t tokens for what the head reads of them, ``read`` (b, t): r ← r + r Ā
    from the last layer to the first, with Ā the mean over heads of (∇A ⊙ A)⁺ (Chefer et al. 2021,
    ICCV, eq. 5 and 6).

    Their R ← R + Ā R, from the first layer to the last, is (I + Ā_L) … (I + Ā_1); a row of it goes
    through the layers from the last to the first, and no product of two matrices is made.

    ``layers``, in their order, attend from all tokens to all, or from one query. If these tokens
    are as many as t, one query at the end is the head's own, and reads them in the place of
    ``read`` (their eq. 10), unless nothing comes of it. If they are fewer, they are the last of the
    t, and one query is the first token, which joins them late (CaiT): its layers change it alone.
    """
    count = read.shape[1]
    among = max(layer.attention.shape[2] for layer in layers)
    relevance, before = read.clone(), [*layers]
    if among == count and layers[-1].attention.shape[2] == 1:
        pooling = before.pop()
        if pooling.gradient.gradient.any():
            relevance.zero_()
            read_by = _through(pooling, read.new_ones(len(read), 1))
            relevance[:, count - read_by.shape[1] :] = read_by
    for layer in reversed(before):
        _, _, queries, keys = layer.attention.shape
        rows = relevance[:, :1] if queries == 1 else relevance[:, count - queries :]
        relevance[:, count - keys :] += _through(layer, rows)
    return relevance


def _through(layer: LayerFlow, relevance: Tensor) -> Tensor:
    """r Ā (b, m) of rows r (b, n)."""
    h = layer.attention.shape[1]
    total: Tensor | None = None
    for part in layer.blocks():
        positive = layer.products(part).relu_().sum(1).div_(h)
        values = torch.einsum("br,brm->bm", relevance[:, part], positive)
        total = values if total is None else total + values
    assert total is not None
    return total
