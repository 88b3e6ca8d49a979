"""Reducers for tests of what capture sees: whole matrices, single rows, and clones."""

from __future__ import annotations

from torch import Tensor

from fastcam.attribution.attention.records import Attention, AttentionCall


def full(call: AttentionCall) -> Tensor:
    """All weights (b, h, n, m) float32."""
    return call.attention.full()


def cls_row(call: AttentionCall) -> Tensor:
    """The weights (b, h, m) float32 of the first query."""
    return call.attention.row(0)


def clone(call: AttentionCall) -> Attention:
    """Queries, keys, mask and scale, or the weights where the model makes them itself."""
    return call.attention.clone()
