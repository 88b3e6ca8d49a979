"""One attention call as a matrix, the reducers that take numbers from it, and their records.

A reducer gets an ``AttentionCall`` while the model runs and returns something small. It must not
return a view of queries or keys: the view would keep the whole qkv tensor of the layer alive.
The arithmetic is float32 whatever the model's precision is, also under autocast.

Scores and weights are those of Vaswani et al. 2017, equation 1: softmax(scale · Q Kᵀ + mask).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from fastcam.attribution.modules import no_autocast
from fastcam.errors import InputError

# sdpa: a fused call. softmax: explicit weights. pooling: explicit weights over one axis, without
# queries of their own. gate: a sigmoid per channel that multiplies the features.
Kind = Literal["sdpa", "softmax", "pooling", "gate"]
KINDS: tuple[Kind, ...] = ("sdpa", "softmax", "pooling", "gate")

# Numbers in one block of recomputed rows: 16 MiB of float32, about a core's share of the cache.
_BLOCK = 1 << 22


class Attention(ABC):
    """One attention matrix, asked for by rows. Axes (b, h, n, m): images (or windows of all
    images), heads, queries, keys. Every answer is new float32 memory."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int, int]:
        """(b, h, n, m)."""

    @abstractmethod
    def rows(self, start: int, stop: int) -> Tensor:
        """Weights (b, h, stop - start, m) float32 of queries start up to stop, each sums to 1."""

    @abstractmethod
    def clone(self) -> Attention:
        """The same with memory of its own, contiguous, in the model's precision."""

    def row(self, index: int) -> Tensor:
        """Weights (b, h, m) float32 of one query, O(m); ``index`` may count from the end."""
        n = self.shape[2]
        if not -n <= index < n:
            raise InputError(f"query {index} was asked for, but the attention has {n} queries")
        return self.rows(index % n, index % n + 1)[:, :, 0]

    def full(self) -> Tensor:
        """All weights (b, h, n, m) float32."""
        return self.rows(0, self.shape[2])

    def mean_row(self, first: int = 0) -> Tensor:
        """Mean (b, h, m) float32 of the rows from ``first`` on, without n × m memory."""
        n = self.shape[2]
        if n <= first:
            raise InputError(f"no queries are left after the first {first}: there are {n}")
        sums = [block.sum(2) for _, block in self.blocks(first)]
        return torch.stack(sums).sum(0) / (n - first)

    def blocks(self, first: int = 0) -> Iterator[tuple[int, Tensor]]:
        """Pairs (start, rows) that cover the queries from ``first`` on, 16 MiB at a time."""
        b, h, n, m = self.shape
        step = max(1, _BLOCK // (b * h * m))
        for start in range(first, n, step):
            yield start, self.rows(start, min(start + step, n))


@dataclass(frozen=True, eq=False)
class Scores(Attention):
    """Attention by queries and keys.

    - ``q`` (b, h, n, d), in any precision
    - ``k`` (b, hk, m, d), hk a divisor of h: consecutive query heads share a key head (Ainslie et
      al. 2023)
    - ``scale``: factor of the products
    - ``mask``: broadcasts to (b, h, n, m); True takes part, or floats that are added to the scores
    - ``causal``: query i sees keys 0 up to i (from the top left, as PyTorch has it)

    A row with nothing to see is 0, as in PyTorch.
    """

    q: Tensor
    k: Tensor
    scale: float
    mask: Tensor | None = None
    causal: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        b, h, n, _ = self.q.shape
        return b, h, n, self.k.shape[2]

    def rows(self, start: int, stop: int) -> Tensor:
        with no_autocast(self.q):
            b, h, _, m = self.shape
            d, hk = self.q.shape[-1], self.k.shape[1]
            if b == 1 and h == hk and self.mask is None and not self.causal:
                # Views throughout, and scaled on the way: CLS of 197 keys 0.18 ms, below 0.25.
                q, k = self.q[0, :, start:stop].float(), self.k[0].float().mT
                scores = torch.baddbmm(q.new_empty((1, 1, 1)), q, k, beta=0, alpha=self.scale)
                return torch.softmax(scores, -1, out=scores)[None]
            q = self.q[:, :, start:stop].float() * self.scale
            r = q.shape[2]
            scores = q.reshape(b, hk, h // hk * r, d) @ self.k.float().transpose(-1, -2)
            scores = scores.reshape(b, h, r, m)
            if self.mask is None and not self.causal:
                return scores.softmax(-1)
            return _hidden_rows_zero(self._masked(scores, start, stop))

    def _masked(self, scores: Tensor, start: int, stop: int) -> Tensor:
        if self.causal:
            query = torch.arange(start, start + scores.shape[2], device=scores.device)
            key = torch.arange(scores.shape[3], device=scores.device)
            scores = scores.masked_fill(key > query[:, None], -torch.inf)
        if self.mask is None:
            return scores
        single_row = self.mask.ndim < 2 or self.mask.shape[-2] == 1
        mask = self.mask if single_row else self.mask[..., start:stop, :]
        if mask.dtype == torch.bool:
            return scores.masked_fill(~mask, -torch.inf)
        return scores + mask.float()

    def clone(self) -> Scores:
        mask = None if self.mask is None else self.mask.detach().clone()
        return Scores(_copy(self.q), _copy(self.k), self.scale, mask, self.causal)

    def blocks(self, first: int = 0) -> Iterator[tuple[int, Tensor]]:
        # Keys are widened once, not for every block.
        wide = Scores(self.q, self.k.float(), self.scale, self.mask, self.causal)
        return super(Scores, wide).blocks(first)


@dataclass(frozen=True, eq=False)
class Weights(Attention):
    """Attention by its weights: ``values`` (b, h, n, m), in any precision."""

    values: Tensor

    @property
    def shape(self) -> tuple[int, int, int, int]:
        b, h, n, m = self.values.shape
        return b, h, n, m

    def rows(self, start: int, stop: int) -> Tensor:
        return self.values[:, :, start:stop].detach().to(torch.float32, copy=True)

    def clone(self) -> Weights:
        return Weights(_copy(self.values))


@dataclass(frozen=True, eq=False)
class AttentionFlow:
    """What a call gives on, in the model's graph.

    - ``output``: of a fused call its output, of an explicit one the weights themselves
    - ``values``: of a fused call what the weights are multiplied with, detached; None else
    - ``as_matrix``: what makes of a tensor shaped like ``output`` one with the axes (b, h, n, d),
      or (b, h, n, m)
    """

    output: Tensor
    values: Tensor | None
    as_matrix: Callable[[Tensor], Tensor]

    def weight_gradient(self, gradient: Tensor) -> AttentionGradient:
        """∂y/∂A of the weights A, from ``gradient`` ∂y/∂output."""
        matrix = self.as_matrix(gradient)
        return AttentionGradient(matrix, self.values)


@dataclass(frozen=True, eq=False)
class AttentionGradient:
    """∂y/∂A, asked for by rows: of a fused call O = A V it is G Vᵀ with G = ∂y/∂O.

    - ``gradient`` (b, h, n, d), G; or (b, h, n, m), ∂y/∂A itself where there are no ``values``
    - ``values`` (b, hk, m, d), V; consecutive query heads share a head of it where hk < h
    """

    gradient: Tensor
    values: Tensor | None

    def rows(self, start: int, stop: int) -> Tensor:
        """(b, h, stop - start, m) float32, in new memory."""
        part = self.gradient[:, :, start:stop]
        if self.values is None:
            return part.to(torch.float32, copy=True)
        part = part.float()
        with no_autocast(part):
            b, h, r, d = part.shape
            heads = self.values.shape[1]
            grouped = part.reshape(b, heads, h // heads * r, d)
            return (grouped @ self.values.float().mT).reshape(b, h, r, -1)


@dataclass(frozen=True, eq=False)
class AttentionCall:
    """What a reducer sees, valid only while it runs.

    - ``path``: dotted path of the module whose forward made the call, "" for the model itself
    - ``kind``: how the call was recognized
    - ``attention``: the matrix; for kind "gate" (b, 1, 1, c), the sigmoid of each channel
    - ``features`` (b, c, *space), what a gate multiplies; None for other kinds
    - ``flow``: the tensors of the call in the model's graph; None for gates and pooling
    """

    path: str
    kind: Kind
    attention: Attention
    features: Tensor | None = None
    flow: AttentionFlow | None = None


@dataclass(frozen=True, eq=False)
class Record:
    """What is stored of one call.

    - ``path``, ``kind``: as in ``AttentionCall``
    - ``shape`` (b, h, n, m), as in ``Attention``
    - ``value``: what the reducer returned
    """

    path: str
    kind: Kind
    shape: tuple[int, int, int, int]
    value: Any


Reducer = Callable[[AttentionCall], Any]


def gate(call: AttentionCall) -> tuple[Tensor, Tensor]:
    """Keeps of a gate s its values (b, c) and the map Σ_c s_c·|x_c| (b, *space), float32."""
    if call.features is None:
        raise InputError(f"{call.path}: attention of kind {call.kind} has no channel gate")
    with no_autocast(call.features):
        values = call.attention.full()[:, 0, 0]
        x = call.features.detach().float().abs()
        return values, torch.einsum("bc,bc...->b...", values, x)


def nothing(call: AttentionCall) -> None:
    """Keeps only what a ``Record`` has of itself: path, kind and shape."""


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone(memory_format=torch.contiguous_format)


def _hidden_rows_zero(scores: Tensor) -> Tensor:
    hidden = scores.amax(-1, keepdim=True) == -torch.inf
    return scores.softmax(-1).masked_fill(hidden, 0)
