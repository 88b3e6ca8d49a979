"""What operations do to the places of a tensor: windows, padding, resizing, cutting, turning.

Only those stand here that move places; all others pass the grid on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from fastcam.attribution.geometry.grids import Call, Grid, Numbers

_aten = torch.ops.aten


def _convolution(call: Call) -> Grid | None:
    weight: Tensor = call.args[1]
    kernel = tuple(map(float, weight.shape[2:]))
    if not call.argument("transposed"):
        return _windows(call, kernel)
    grid = call.dense
    if grid is None:
        return call.passed_on
    steps, padding = call.numbers("stride", 1), call.numbers("padding")
    reach = [d * (k - 1) + 1 for d, k in zip(call.numbers("dilation", 1), kernel, strict=True)]
    stride = tuple(s / step for s, step in zip(grid.stride, steps, strict=True))
    offset = tuple(
        o + s / 2 + (p - k / 2) * fine
        for o, s, p, k, fine in zip(grid.offset, grid.stride, padding, reach, stride, strict=True)
    )
    return grid.at(call.result.shape[2:], offset, stride)


def _pooling(call: Call) -> Grid | None:
    return _windows(call, call.numbers("kernel_size"))


def _windows(call: Call, kernel: Numbers) -> Grid | None:
    """A window of ``kernel`` places becomes one, which is centered where the window is."""
    grid = call.dense
    if grid is None:
        return call.passed_on
    default = [int(k) for k in kernel] if call.func.overloadpacket in _POOLS else 1
    steps, padding = call.numbers("stride", default), call.numbers("padding")
    reach = [d * (k - 1) + 1 for d, k in zip(call.numbers("dilation", 1), kernel, strict=True)]
    offset = tuple(
        o + s * ((k - step) / 2 - p)
        for o, s, k, step, p in zip(grid.offset, grid.stride, reach, steps, padding, strict=True)
    )
    stride = tuple(s * step for s, step in zip(grid.stride, steps, strict=True))
    return grid.at(call.result.shape[2:], offset, stride)


def _resizing(call: Call) -> Grid | None:
    """Interpolation and adaptive pooling: the same field in other places."""
    grid, sizes = call.dense, tuple(call.result.shape[2:])
    if grid is None or len(sizes) != len(grid.sizes):
        return call.passed_on
    if call.argument("align_corners", False) and min(*grid.sizes, *sizes) > 1:
        stride = tuple(
            s * (b - 1) / (a - 1) for s, b, a in zip(grid.stride, grid.sizes, sizes, strict=True)
        )
        offset = tuple(
            o + (s - fine) / 2 for o, s, fine in zip(grid.offset, grid.stride, stride, strict=True)
        )
        return grid.at(sizes, offset, stride)
    stride = tuple(s * b / a for s, b, a in zip(grid.stride, grid.sizes, sizes, strict=True))
    return grid.at(sizes, grid.offset, stride)


def _padding(call: Call) -> Grid | None:
    grid, pad = call.grid, [int(number) for number in call.args[1]]
    if grid is None or grid.dims is None:
        return call.passed_on
    if grid.rolled:
        return None
    offset = list(grid.offset)
    for axis, dim in enumerate(grid.dims):
        place = 2 * (call.source.ndim - 1 - dim)
        before = pad[place] if place < len(pad) else 0
        offset[axis] -= before * grid.stride[axis]
    sizes = tuple(call.result.shape[dim] for dim in grid.dims)
    return replace(grid, sizes=sizes, offset=tuple(offset))


def _slice(call: Call) -> Grid | None:
    dim = int(call.argument("dim", 0)) % call.source.ndim
    length = call.source.shape[dim]
    start = _within(call.argument("start", 0), length)
    return cut(call, dim, start, int(call.argument("step", 1)))


def _split(call: Call) -> Grid | None:
    dim = int(call.argument("dim", 0)) % call.source.ndim
    parts = call.args[1]
    start = call.number * parts if isinstance(parts, int) else sum(parts[: call.number])
    return cut(call, dim, int(start), 1)


def cut(call: Call, dim: int, start: int, step: int) -> Grid | None:
    """Every ``step``-th place from ``start`` along an axis of the tensor."""
    grid = call.grid
    if grid is None or grid.dims is None or dim not in grid.dims:
        return call.passed_on
    if grid.rolled:
        return grid if call.result.shape == call.source.shape else None
    axis, count = grid.dims.index(dim), call.result.shape[dim]
    stride, left = grid.stride[axis], grid.sizes[axis] - start - (count - 1) * step - 1
    # Of every second place the center stays where it is.
    edge = grid.offset[axis] + (start - (step - 1) / 2) * stride
    low, high = grid.low[axis], grid.high[axis]
    # Only where something is cut off does the tensor see less of the image than before.
    ends = [edge if start >= step else None, edge + count * step * stride if left >= step else None]
    first, last = ends if stride > 0 else ends[::-1]
    shorter = grid.at(
        _put(grid.sizes, axis, count),
        _put(grid.offset, axis, edge),
        _put(grid.stride, axis, stride * step),
    )
    return replace(
        shorter,
        low=_put(grid.low, axis, low if first is None else max(low, first)),
        high=_put(grid.high, axis, high if last is None else min(high, last)),
    )


def _flip(call: Call) -> Grid | None:
    grid = call.grid
    if grid is None or grid.dims is None:
        return call.passed_on
    if grid.rolled:
        return None
    turned = {int(dim) % call.source.ndim for dim in call.args[1]}
    offset, stride = list(grid.offset), list(grid.stride)
    for axis, dim in enumerate(grid.dims):
        if dim in turned:
            offset[axis] += stride[axis] * grid.sizes[axis]
            stride[axis] = -stride[axis]
    return replace(grid, offset=tuple(offset), stride=tuple(stride))


def _permute(call: Call) -> Grid | None:
    grid = call.grid
    if grid is None:
        return call.passed_on
    axes = range(call.source.ndim)
    if call.func.overloadpacket is _aten.permute:
        order = [int(dim) % call.source.ndim for dim in call.args[1]]
    else:
        first, second = (
            (int(call.args[1]), int(call.args[2]))
            if len(call.args) > 2
            else (0, call.source.ndim - 1)
        )
        order = list(axes)
        first, second = first % len(order), second % len(order)
        order[first], order[second] = order[second], order[first]
    if grid.dims is None:
        # Where an axis was taken out, as by squeeze, and the places are axes still.
        places = [order.index(dim) for dim in grid.axes_in(call.source.shape)]
        same = call.passed_on
        return replace(same, loose=True) if same and places != sorted(places) else same
    dims = tuple(order.index(dim) for dim in grid.dims)
    # Of (b, c, w, h) the entries are along x and y.
    entries = sorted(range(len(dims)), key=dims.__getitem__)
    return replace(grid, dims=dims).reordered(entries)


def _view(call: Call) -> Grid | None:
    """The axes of places stay those where all that stands behind them stays."""
    grid, before, after = call.grid, call.source.shape, call.result.shape
    if grid is None:
        return call.passed_on
    places = call.dense
    one_row = len(after) == 2 and after[0] == 1
    if one_row and places is not None and math.prod(places.sizes) > 1:
        return replace(grid.without_axes, one_row=True)
    if grid.dims is None:
        return call.passed_on if one_row else _with_rows(call.passed_on)
    tail = call.source.ndim - grid.dims[0]
    consecutive = grid.dims == tuple(range(grid.dims[0], grid.dims[0] + len(grid.dims)))
    keeps = consecutive and len(after) >= tail and before[-tail:] == after[-tail:]
    shift = len(after) - len(before)
    return replace(grid, dims=tuple(d + shift for d in grid.dims)) if keeps else grid.without_axes


def _with_rows(grid: Grid | None) -> Grid | None:
    """The same of a tensor that was one row of features, and has its places again."""
    return replace(grid, one_row=False) if grid is not None and grid.one_row else grid


def _cat(call: Call) -> Grid | None:
    grids = [grid for _, grid in call.inputs]
    parts = [grid for grid in grids if grid is not None]
    if len(parts) < len(grids) or not parts:
        return None
    first = parts[0]
    dim = int(call.argument("dim", 0)) % call.result.ndim
    if first.dims is None or dim not in first.dims:
        joined = call.passed_on
        if joined is None or any(part.cells != joined.cells for part in parts):
            return joined
        # Four neighbors put together, as channels, are where their middle is.
        offset = tuple(
            sum(along) / len(parts) for along in zip(*(p.offset for p in parts), strict=True)
        )
        return replace(joined, offset=offset)
    axis = first.dims.index(dim)
    whole = first
    for part in parts[1:]:
        end = whole.offset[axis] + whole.sizes[axis] * whole.stride[axis]
        if (part.order, part.stride) != (whole.order, whole.stride):
            return None
        if abs(part.offset[axis] - end) > abs(whole.stride[axis]):
            return None
        sizes = _put(whole.sizes, axis, whole.sizes[axis] + part.sizes[axis])
        low = _put(whole.low, axis, min(whole.low[axis], part.low[axis]))
        high = _put(whole.high, axis, max(whole.high[axis], part.high[axis]))
        whole = replace(whole, sizes=sizes, low=low, high=high)
    return whole


def _anywhere(_call: Call) -> None:
    """Places are taken from wherever the values of another tensor say."""


def _within(place: Any, length: int) -> int:
    start = int(place)
    return min(max(start + length if start < 0 else start, 0), length)


def _put(values: tuple[Any, ...], axis: int, value: Any) -> tuple[Any, ...]:
    return (*values[:axis], value, *values[axis + 1 :])


_POOLS = {
    packet
    for name in (
        "max_pool2d",
        "max_pool3d",
        "max_pool2d_with_indices",
        "max_pool3d_with_indices",
        "mkldnn_max_pool2d",
        "mkldnn_max_pool3d",
        "avg_pool2d",
        "avg_pool3d",
    )
    if (packet := getattr(_aten, name, None)) is not None
}
_RESIZES = {
    packet
    for name in (
        "_adaptive_avg_pool2d",
        "_adaptive_avg_pool3d",
        "adaptive_max_pool2d",
        "adaptive_max_pool3d",
        "upsample_nearest2d",
        "_upsample_nearest_exact2d",
        "upsample_bilinear2d",
        "upsample_bicubic2d",
        "_upsample_bilinear2d_aa",
        "_upsample_bicubic2d_aa",
        "upsample_nearest3d",
        "_upsample_nearest_exact3d",
        "upsample_trilinear3d",
        "pixel_shuffle",
        "pixel_unshuffle",
    )
    if (packet := getattr(_aten, name, None)) is not None
}
OPERATIONS: dict[Any, Callable[[Call], Grid | None]] = {
    _aten.convolution: _convolution,
    _aten.slice: _slice,
    _aten.split: _split,
    _aten.split_with_sizes: _split,
    _aten.flip: _flip,
    _aten.permute: _permute,
    _aten.transpose: _permute,
    _aten.t: _permute,
    _aten.view: _view,
    _aten._unsafe_view: _view,
    _aten.reshape: _view,
    _aten.cat: _cat,
    _aten.constant_pad_nd: _padding,
    _aten.reflection_pad2d: _padding,
    _aten.reflection_pad3d: _padding,
    _aten.replication_pad2d: _padding,
    _aten.replication_pad3d: _padding,
    _aten.grid_sampler_2d: _anywhere,
    _aten.grid_sampler_3d: _anywhere,
    **dict.fromkeys(_POOLS, _pooling),
    **dict.fromkeys(_RESIZES, _resizing),
}
