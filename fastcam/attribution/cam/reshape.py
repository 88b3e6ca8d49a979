"""Layers' outputs as maps (b, k, *s): convolutions, tokens with a prefix, channels last.

How a tensor lies is found from its shape, the image's and the model's prefix tokens; a layer's
own weights decide where the shape leaves it open.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fastcam.attribution.attention.key_order import token_order
from fastcam.attribution.attention.tokens import count_prefix, patch_grid, patch_size
from fastcam.errors import InputError

Reshape = Literal["auto", "none"] | Callable[[Tensor], Tensor]
Order = Literal["channels first", "channels last", "tokens"]
Size = tuple[int, ...]

_FIRST = (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm, nn.GroupNorm)


@dataclass(frozen=True)
class Layout:
    """How a layer's output lies: (b, k, *s), (b, *s, k) or (b, prefix + positions, k).

    - ``order``: which of these
    - ``channels``: k
    - ``grid``: s, the map's own size
    - ``prefix``: tokens before the positions
    - ``tokens``: by position, row by row, the number of its token; empty: they lie in this order
    """

    order: Order
    channels: int
    grid: Size
    prefix: int = 0
    tokens: tuple[int, ...] = ()


def to_maps(values: Tensor, layout: Layout) -> Tensor:
    """``values`` as (b, k, *s), a view where possible."""
    if layout.order == "channels first":
        return values
    if layout.order == "tokens":
        values = values[:, layout.prefix :]
        if layout.tokens:
            values = values[:, torch.tensor(layout.tokens, device=values.device)]
        values = values.reshape(len(values), *layout.grid, -1)
    return values.movedim(-1, 1)


def layout_of(
    model: nn.Module, module: nn.Module, shape: Size, image: Size, prefix_tokens: int | None = None
) -> Layout | None:
    """How an output of ``shape`` lies, for images of size ``image`` ((h, w) or (d, h, w)).

    None where it has no positions, or only one. ``prefix_tokens`` None: counted from ``model``.
    """
    if len(shape) == len(image) + 2:
        return _dense(module, shape, image)
    if len(shape) == 3:
        ordered = token_order(model, module, shape[1]) if shape[1] > 1 else None
        if ordered is not None:
            return Layout("tokens", shape[2], ordered[0], 0, ordered[1])
        return _tokens(model, shape, image, prefix_tokens)
    return None


def require_layout(
    name: str,
    model: nn.Module,
    module: nn.Module,
    values: Tensor,
    image: Size,
    *,
    prefix_tokens: int | None = None,
    reshape: Reshape = "auto",
) -> Layout:
    """The layout of the target layer ``name``; InputError where its output has no positions."""
    shape = tuple(values.shape)
    if reshape == "none":
        if len(shape) != len(image) + 2:
            raise InputError(
                f"layer {name!r} gives {shape}, not (images, channels, "
                f"{'height, width' if len(image) == 2 else 'depth, height, width'}): "
                "use reshape 'auto' or a callable"
            )
        return Layout("channels first", shape[1], shape[2:])
    layout = layout_of(model, module, shape, image, prefix_tokens)
    if layout is None:
        suffix = "" if prefix_tokens is None else f" with {prefix_tokens} prefix tokens"
        raise InputError(
            f"layer {name!r} gives {shape}, which is not a grid of positions on an image of "
            f"{' x '.join(map(str, image))}{suffix}; choose another layer, give --prefix-tokens, "
            "or a callable reshape to (images, channels, height, width)"
        )
    return layout


def apply_reshape(
    name: str, reshape: Callable[[Tensor], Tensor], values: Tensor, image: Size
) -> Tensor:
    """``reshape(values)``; InputError unless that is (b, k, *s)."""
    maps = reshape(values)
    if not isinstance(maps, Tensor) or maps.ndim != len(image) + 2 or len(maps) != len(values):
        description = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise InputError(
            f"layer {name!r}: the reshape callable makes {description} of {tuple(values.shape)}; "
            "it must give (images, channels, height, width)"
        )
    return maps


def _dense(module: nn.Module, shape: Size, image: Size) -> Layout | None:
    first, last = shape[2:], shape[1:-1]
    if _channels_are_last(module, shape, image):
        return Layout("channels last", shape[-1], last) if math.prod(last) > 1 else None
    if math.prod(first) > 1 and _within(first, image):
        return Layout("channels first", shape[1], first)
    return None


def _channels_are_last(module: nn.Module, shape: Size, image: Size) -> bool:
    if not _within(shape[1:-1], image):
        return False
    parts = list(module.modules())
    if any(_first_channels(part) == shape[1] for part in parts):
        return False
    if any(_last_channels(part) == shape[-1] for part in parts):
        return True
    return _same_stride(shape[1:-1], image) and not _same_stride(shape[2:], image)


def _first_channels(part: nn.Module) -> Any:
    if isinstance(part, _FIRST):
        return getattr(part, "out_channels", None) or getattr(
            part, "num_features", getattr(part, "num_channels", None)
        )
    return None


def _last_channels(part: nn.Module) -> Any:
    if isinstance(part, nn.LayerNorm):
        return part.normalized_shape[-1]
    return part.out_features if isinstance(part, nn.Linear) else None


def _within(grid: Size, image: Size) -> bool:
    return all(g <= side for g, side in zip(grid, image, strict=True))


def _same_stride(grid: Size, image: Size) -> bool:
    """Whether one stride, rounded up or down on each side, leads from ``image`` to ``grid``."""
    lowest = max(side / (g + 1) for g, side in zip(grid, image, strict=True))
    highest = min(
        side / (g - 1) if g > 1 else math.inf for g, side in zip(grid, image, strict=True)
    )
    return lowest < highest


def _tokens(model: nn.Module, shape: Size, image: Size, prefix_tokens: int | None) -> Layout | None:
    counted = count_prefix(model, prefix_tokens).count
    if prefix_tokens is not None:
        prefixes: Size = (prefix_tokens,)
    else:
        # Blocks before the CLS token joins (CaiT, XCiT) have none, whatever the model counts; a
        # model whose tokens have other names is tried with the usual numbers.
        prefixes = (counted, 0) if counted else (0, 1, 2, 5)
    patch = patch_size(model, len(image))
    for prefix in prefixes:
        positions = shape[1] - prefix
        grid = patch_grid(positions, image, patch) if positions > 1 else None
        if grid is not None:
            return Layout("tokens", shape[2], grid, prefix)
    return None
