"""Operations that put places into another order, take some of them, or mix all: what is left."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from fastcam.attribution.geometry.grids import Call, Grid
from fastcam.attribution.geometry.operations import cut

_aten = torch.ops.aten
# Tokens that stand before those of the places: CLS and registers.
_MOST_PREFIX = 16


def _places_in(call: Call, dims: Sequence[int]) -> bool:
    """Whether an axis of ``dims`` of the first argument holds places, or may."""
    grid, shape = call.grid, call.source.shape
    given = {dim % call.source.ndim for dim in dims}
    given = {dim for dim in given if shape[dim] > 1}
    if grid is None or grid.dims is not None:
        return grid is None or bool(given & {*(grid.dims or ())})
    # Tokens: the axis that has as many entries as there are places, if there is one.
    count = math.prod(grid.sizes)
    tokens = [dim for dim, n in enumerate(shape) if count <= n <= count + _MOST_PREFIX]
    spread = grid.axes_in(shape)
    holding = set(spread) if spread else set(tokens) if len(tokens) == 1 else {*range(len(shape))}
    return bool(given & holding)


def _kept_elsewhere(call: Call) -> Grid | None:
    """The grid where ``dim`` holds no places, so that these stay where they are; else None."""
    dims = call.argument("dim", -1)
    return None if _places_in(call, [dims] if isinstance(dims, int) else dims) else call.passed_on


def _roll(call: Call) -> Grid | None:
    """Places that move around the edge, as Swin's shifted windows do, until they are put back."""
    grid, dims = call.grid, [int(dim) % call.source.ndim for dim in call.argument("dims", ())]
    if grid is None or not dims:
        return None
    if not _places_in(call, dims):
        return call.passed_on
    # Of tokens laid out again (padded, perhaps) it is only known that it has to be undone.
    axes = grid.dims or grid.axes_in(call.source.shape) or tuple(sorted(dims))
    if not {*dims} <= {*axes} or len(axes) != len(grid.sizes):
        return None
    moved = list(grid.rolled or (0,) * len(axes))
    for dim, shift in zip(dims, call.args[1], strict=True):
        axis = axes.index(dim)
        moved[axis] = (moved[axis] + int(shift)) % call.source.shape[dim]
    return replace(grid, rolled=tuple(moved) if any(moved) else ())


def _selected(call: Call) -> Grid | None:
    """``index_select``: what a slice would take too, or no places."""
    return _entries(call, int(call.args[1]) % call.source.ndim, call.args[2])


def _indexed(call: Call) -> Grid | None:
    """``x[:, indices]``; what is looked up in a table has the places of its indices."""
    if all(tensor is not call.source for tensor, _ in call.inputs):
        return call.passed_on
    grid = call.grid
    given = [(dim, index) for dim, index in enumerate(call.args[1]) if index is not None]
    if len(given) == 1 and given[0][1].ndim == 1:
        return _entries(call, *given[0])
    return None if _places_in(call, [dim for dim, _ in given]) else grid and call.passed_on


def _entries(call: Call, dim: int, index: Tensor) -> Grid | None:
    if not _places_in(call, [dim]):
        return call.passed_on
    numbers = (index.nonzero()[:, 0] if index.dtype == torch.bool else index).tolist()
    length, grid = call.source.shape[dim], call.grid
    numbers = [number % length for number in numbers]
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    if not numbers or step < 1 or numbers != [*range(numbers[0], numbers[-1] + 1, step)]:
        return None
    if grid is not None and grid.dims is not None:
        return cut(call, dim, numbers[0], step)
    # Of tokens all that stand behind the prefix.
    behind = numbers[-1] == length - 1 and step == 1 and numbers[0] <= _MOST_PREFIX
    return call.passed_on if behind else None


def _repeated(call: Call) -> Grid | None:
    """``repeat``, which lays a tensor beside itself."""
    new = len(call.args[1]) - call.source.ndim
    dims = [place - new for place, times in enumerate(call.args[1]) if place >= new and times != 1]
    return None if dims and _places_in(call, dims) else call.passed_on


def _multiplied(call: Call) -> Grid | None:
    """A matrix product; of an image as one row of features it mixes all places."""
    rows = any(grid is not None and grid.one_row for _, grid in call.inputs)
    return None if rows else call.passed_on


def _elsewhere(_call: Call) -> None:
    """What is taken or put anywhere."""


_BY_DIM = ("_fft_r2c", "_fft_c2c", "_fft_c2r", "gather", "sort", "topk", "kthvalue", "argsort")
_ELSEWHERE = (
    *("take", "put", "masked_select", "masked_scatter", "nonzero", "index_put", "index_put_"),
    *("scatter", "scatter_", "scatter_add", "scatter_add_", "scatter_reduce", "scatter_reduce_"),
    *("index_add", "index_add_", "index_copy", "index_copy_", "_unsafe_index_put"),
)
_NAMED: dict[str, Callable[[Call], Grid | None]] = {
    **dict.fromkeys(_BY_DIM, _kept_elsewhere),
    **dict.fromkeys(_ELSEWHERE, _elsewhere),
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm"), _multiplied),
    "roll": _roll,
    "index_select": _selected,
    "index": _indexed,
    "_unsafe_index": _indexed,
    "repeat": _repeated,
}
REORDERINGS: dict[Any, Callable[[Call], Grid | None]] = {
    packet: handler
    for name, handler in _NAMED.items()
    if (packet := getattr(_aten, name, None)) is not None
}
# Of other libraries, by their names: boxes cut out of the image.
REORDERINGS_BY_NAME: dict[str, Callable[[Call], Grid | None]] = dict.fromkeys(
    (f"torchvision.{name}" for name in ("roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool")),
    _elsewhere,
)
