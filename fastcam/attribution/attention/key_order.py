"""Keys that don't lie one after another as places of a grid do: what each place shows of them.

Hiera keeps tokens in the order in which its strides put them together (Ryali et al. 2023, section
3): those that are pooled last come last, and a mask unit's tokens lie a whole grid apart. NextViT
averages runs of tokens along the rows into a key (Li et al. 2022, section 3.3). Heads stand in the
first axis where a model has put them there, before or after its windows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.layer_names import module_at, named_layers


@dataclass(frozen=True)
class Packing:
    """What the first axis of a call has besides images.

    - ``windows``: of an image
    - ``heads``: of the call
    - ``heads_first``: whether heads come before windows
    """

    windows: int
    heads: int
    heads_first: bool = False

    def unpacked(self, values: Tensor, batch: int) -> Tensor:
        """Values (batch · windows · heads, 1, m) as (batch · windows, heads, m)."""
        m = values.shape[-1]
        if self.heads_first:
            values = values.reshape(batch, self.heads, self.windows, m).transpose(1, 2)
        return values.reshape(batch * self.windows, self.heads, m)


@dataclass(frozen=True)
class KeyOrder:
    """Which key each place of a grid shows.

    - ``keys``: by place, row by row, the key's number: of ``windows`` with m keys each, key i of
      window w is i · windows + w
    - ``share``: how much of a key's value each of its places has
    - ``windows``: of an image
    """

    keys: tuple[int, ...]
    share: float = 1.0
    windows: int = 1

    def placed(self, values: Tensor, batch: int) -> Tensor:
        """Values (batch · windows, heads, m) of keys as (batch, heads, places)."""
        _, heads, m = values.shape
        keys = values.reshape(batch, self.windows, heads, m).permute(0, 2, 3, 1)
        index = torch.tensor(self.keys, device=values.device)
        return keys.reshape(batch, heads, m * self.windows)[..., index] * self.share


def pooled_runs(model: nn.Module, path: str, tokens: int | None, keys: int) -> KeyOrder | None:
    """The order of ``keys`` that are each the mean of a run of ``tokens``, by an ``AvgPool1d`` in
    the module at ``path``; None where there is none."""
    module = module_at(model, path)
    for child in module.children():
        if isinstance(child, nn.AvgPool1d) and tokens is not None:
            run = _one(child.kernel_size)
            if run == _one(child.stride) > 1 and run * keys == tokens and not _one(child.padding):
                return KeyOrder(tuple(place // run for place in range(tokens)), 1 / run)
    return None


def unrolled(
    model: nn.Module, path: str, tokens: int, windows: int
) -> tuple[tuple[int, ...], KeyOrder] | None:
    """The grid of ``tokens`` keys that Hiera's strides have put in order, ``windows`` mask units
    with as many each, and the order; None for all other models."""
    for name, module in named_layers(model):
        stated = _unrolling(module)
        # timm's module is beside the blocks, that of Hugging Face around them.
        if stated is None or not path.startswith((name, name.rpartition(".")[0])):
            continue
        grid, strides = stated
        while math.prod(grid) > tokens and strides:
            grid = tuple(side // step for side, step in zip(grid, strides[0], strict=True))
            strides = strides[1:]
        if math.prod(grid) != tokens:
            return None
        order = unroll_order(grid, strides)
        keys = torch.empty_like(order)
        keys[order] = torch.arange(tokens)
        return grid, KeyOrder(tuple(keys.tolist()), windows=windows)
    return None


def token_order(
    model: nn.Module, module: nn.Module, tokens: int
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The grid of ``tokens`` that ``module`` gives in Hiera's order, and by place, row by row, the
    token's number; None for all other models, and before tokens are put in order."""
    if not any(_unrolling(part) for part in model.modules()):
        return None
    path = next((name for name, part in named_layers(model) if part is module), "")
    found = unrolled(model, path, tokens, 1)
    return None if found is None or "embed" in path else (found[0], found[1].keys)


def _unrolling(module: nn.Module) -> tuple[tuple[int, ...], list[tuple[int, ...]]] | None:
    """The grid of patches and the strides that a module puts tokens in order by: timm's ``Unroll``,
    Hugging Face's ``HieraModel``; None of all others."""
    size, schedule = getattr(module, "size", None), getattr(module, "schedule", None)
    config = getattr(module, "config", None)
    if type(module).__name__ != "Unroll":
        schedule = getattr(module, "unroll_schedule", None)
        sides, steps = (getattr(config, name, None) for name in ("image_size", "patch_stride"))
        if not isinstance(sides, Sequence) or not isinstance(steps, Sequence):
            return None
        size = [side // step for side, step in zip(sides, steps, strict=True)]
    if not isinstance(size, Sequence) or not isinstance(schedule, Sequence):
        return None
    return tuple(map(int, size)), [tuple(map(int, strides)) for strides in schedule]


def unroll_order(grid: Sequence[int], strides: Sequence[Sequence[int]]) -> Tensor:
    """(places,) int64: the place on the grid, row by row, of each token after ``strides``."""
    places = torch.arange(math.prod(grid)).reshape(1, *grid)
    for stride in strides:
        pairs: list[int] = []
        for side, step in zip(places.shape[1:], stride, strict=True):
            pairs += [side // step, step]
        cut = places.reshape(len(places), *pairs)
        inner, outer = range(2, cut.ndim, 2), range(1, cut.ndim, 2)
        places = cut.permute(0, *inner, *outer).flatten(0, len(stride))
    return places.reshape(-1)


def _one(value: Any) -> int:
    return int(value[0]) if isinstance(value, tuple | list) else int(value)
