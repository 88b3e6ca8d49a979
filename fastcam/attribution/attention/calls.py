"""Arguments and results of attention functions as the matrices they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from fastcam.attribution.attention.records import AttentionFlow, Kind, Scores, Weights
from fastcam.attribution.layer_names import named_layers


def scores_of(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Scores:
    """The arguments of ``F.scaled_dot_product_attention`` with axes (b, h, n, d).

    Inputs (b, h, n, d); with other leading axes they are all b, and h is 1. Dropout is left out.
    """
    leading = query.shape[:-2]
    mask = attn_mask
    if len(leading) != 2:
        # Two windows on the way (Hiera), or none; rare, so copies don't matter.
        if enable_gqa:
            key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        if mask is not None:
            mask = mask.expand(*leading, query.shape[-2], key.shape[-2])
            mask = mask.reshape(_matrix_shape(mask, leading))
        query = query.reshape(_matrix_shape(query, leading))
        key = key.expand(*leading, *key.shape[-2:]).reshape(_matrix_shape(key, leading))
    return Scores(
        query.detach(),
        key.detach(),
        query.shape[-1] ** -0.5 if scale is None else scale,
        None if mask is None else mask.detach(),
        is_causal,
    )


def flow_of(output: Tensor, value: Tensor) -> AttentionFlow:
    """The tensors of ``F.scaled_dot_product_attention`` with its ``value`` and ``output``."""
    leading = output.shape[:-2]

    def as_matrix(tensor: Tensor) -> Tensor:
        four = len(leading) == 2
        return tensor if four else tensor.reshape(_matrix_shape(tensor, leading))

    values = value.detach()
    if len(leading) != 2:
        values = values.expand(*leading, *values.shape[-2:]).reshape(_matrix_shape(values, leading))
    return AttentionFlow(output, values, as_matrix)


def softmax_flow(output: Tensor, axis: int) -> AttentionFlow:
    """The same of weights ``output``, a softmax along ``axis``, that are matrices."""

    def as_matrix(tensor: Tensor) -> Tensor:
        matrix = tensor if axis % tensor.ndim == tensor.ndim - 1 else tensor.transpose(-1, -2)
        return matrix.reshape(_matrix_shape(matrix, matrix.shape[:-2]))

    return AttentionFlow(output, None, as_matrix)


def weights_of(output: Tensor, axis: int) -> tuple[Kind, Weights] | None:
    """What a softmax along ``axis`` is: matrices (b, h, n, m), pooling (b, 1, 1, m), or None.

    The keys are the axis that sums to one; it is moved to the end where it is the last but one.
    A softmax with nothing along any other axis than images is pooling. One along another axis
    (the choice among branches, say) isn't attention between places.
    """
    axis %= max(output.ndim, 1)
    if output.shape[axis : axis + 1].numel() < 2:
        return None
    batch = output.shape[0] if output.ndim > 1 and axis != 0 else 1
    if output.numel() == batch * output.shape[axis]:
        return "pooling", Weights(output.detach().reshape(batch, 1, 1, -1))
    if output.ndim == 2:
        # (branches, places) or (places, branches) of a single bag.
        pooled = output if axis == 1 else output.transpose(0, 1)
        return "pooling", Weights(pooled.detach()[None, None])
    if axis < output.ndim - 2:
        return None
    matrix = output if axis == output.ndim - 1 else output.transpose(-1, -2)
    return "softmax", Weights(matrix.detach().reshape(_matrix_shape(matrix, matrix.shape[:-2])))


def separable_modules(model: nn.Module) -> frozenset[str]:
    """Paths of the modules with MobileViTv2's separable attention (Mehta & Rastegari 2022b, section
    3.1): one projection for a query of one channel, keys and values."""
    return frozenset(
        name
        for name, module in named_layers(model)
        if isinstance(dim := getattr(module, "embed_dim", None), int)
        and _channels(getattr(module, "qkv_proj", None)) == 1 + 2 * dim
    )


def _channels(projection: nn.Module | None) -> int | None:
    """How many channels a convolution gives, or a module that is a convolution alone."""
    if projection is None:
        return None
    convolution = next((m for m in projection.modules() if isinstance(m, nn.Conv2d)), None)
    return None if convolution is None else convolution.out_channels


def separate_patches(
    weights: Weights, flow: AttentionFlow | None
) -> tuple[Weights, AttentionFlow | None]:
    """Weights (b, 1, p, m) of separable attention as what they are, (b · p, 1, 1, m): for each of
    the p pixels of a patch, how much of every patch goes into the one vector that all read."""

    def as_matrix(tensor: Tensor) -> Tensor:
        return tensor.reshape(-1, 1, 1, tensor.shape[-1])

    separated = Weights(as_matrix(weights.values))
    return separated, None if flow is None else replace(flow, as_matrix=as_matrix)


def _matrix_shape(tensor: Tensor, leading: Sequence[int]) -> tuple[int, int, int, int]:
    """Axes (b, h, n, m) of (b, h, n, m); any other number of leading axes is all b."""
    heads = leading[1] if len(leading) == 2 else 1
    return -1, heads, tensor.shape[-2], tensor.shape[-1]


def softmax_axis(output: Tensor, dim: int | None = None, *_rest: Any, **_kwargs: Any) -> int:
    """The axis that a softmax with these further arguments was taken along."""
    if isinstance(dim, int):
        return dim
    return 0 if output.ndim in (0, 1, 3) else 1
