"""Where in the image the keys of a recorded attention are, or why they are nowhere."""

from __future__ import annotations

import math
from typing import Literal

from torch import nn

from fastcam.attribution.attention.key_order import Packing, pooled_runs, unrolled
from fastcam.attribution.attention.places import KeyPositions, MapKind, PassContext
from fastcam.attribution.attention.records import Record
from fastcam.attribution.attention.tokens import even_grid, patch_grid, whole_patches
from fastcam.attribution.attention.windows import (
    WindowLayout,
    enclosing_paths,
    enlarged_layout,
    layout_of,
    overlap_layout_of,
    overlap_module,
    partition_of,
    window_module,
)
from fastcam.attribution.layer_names import module_at, split_call


def key_positions(
    index: int, record: Record, context: PassContext, query: Literal["cls", "mean"]
) -> KeyPositions | str:
    """Where the keys of ``record`` are, or the reason why they are no places of the image."""
    if index in context.reweighed:
        return context.reweighed[index]
    b, h, n, m = record.shape
    window = window_module(context.model, record.path)
    if window is not None:
        return _window_positions(index, record, context, *window)
    if isinstance(overlap_positions(index, record, context), KeyPositions):
        return "its keys come from overlapping windows: method overlap shows them"
    ordered = _ordered_positions(index, record, context)
    if ordered is not None:
        return ordered
    if h == 1 and b % context.batch == 0 and n in _input_tokens(record.path, context):
        # Heads kept in the first axis: every matrix is over all tokens of an image.
        b, h = context.batch, b // context.batch
    if b % context.batch == 0:
        placed = _partition_positions(index, record.path, (b, h, m), context)
        if placed is not None:
            return placed
    if b != context.batch:
        return (
            f"{b} attention matrices for {context.batch} images: windows whose arrangement isn't "
            "known (no window_size, partition_size or patch_size around them)"
        )
    if attends_channels(record, context):
        return f"it attends from channel to channel ({n}×{m}), not between places"
    grid_and_prefix = _grid(m, context) or _followed_grid(record.path, m, context)
    if grid_and_prefix is None:
        return _no_grid_reason(m, context)
    grid, prefixed = grid_and_prefix
    has_cls = prefixed and context.prefix.cls
    if n == 1:
        kind: MapKind = "cls" if has_cls else "pooling"
    elif query == "cls":
        if not has_cls:
            return "there is no CLS token among its queries"
        kind = "cls"
    else:
        kind = "received"
    return KeyPositions(index, record.path, kind, h, grid)


def _ordered_positions(index: int, record: Record, context: PassContext) -> KeyPositions | None:
    """Those of keys that don't lie as the places of the grid do; None where nothing says so."""
    b, h, _, m = record.shape
    model, path, batch = context.model, record.path, context.batch
    for tokens in _input_tokens(path, context) if b == batch else ():
        grid_and_prefix = _grid(tokens, context)
        order = pooled_runs(model, path, tokens, m)
        if order is not None and grid_and_prefix is not None and not grid_and_prefix[1]:
            return KeyPositions(index, path, "received", h, grid_and_prefix[0], order=order)
    module = module_at(model, path)
    heads = getattr(module, "heads", getattr(module, "num_heads", None))
    packing = None
    if h == 1 and b != batch and isinstance(heads, int) and b % (batch * heads) == 0:
        packing = Packing(b // (batch * heads), heads, heads_first=True)
    elif b != batch:
        return None
    windows = 1 if packing is None else packing.windows
    found = unrolled(model, path, m * windows, windows)
    if found is None:
        return None
    kind: MapKind = "received" if windows == 1 else "windows"
    count = h if packing is None else packing.heads
    grid, order = found
    return KeyPositions(index, path, kind, count, grid, packing=packing, order=order)


def _partition_positions(
    index: int, path: str, shape: tuple[int, int, int], context: PassContext
) -> KeyPositions | None:
    """Those of windows that aren't shifted, of a call with ``shape`` (b, h, m); its heads may stand
    in the first axis, too. None where nothing states such windows."""
    b, h, m = shape
    module = module_at(context.model, path)
    heads = getattr(module, "num_heads", None)
    # Where a module says how many heads it has, these come before one that is called for each.
    for count in (heads, 1) if h == 1 and isinstance(heads, int) else (1,):
        windows = b // context.batch // count
        if windows * context.batch * count != b:
            continue
        layout = partition_of(context.model, path, context.shapes, context.batch, (windows, m))
        # A single window of the grid's size is the grid; a larger one is padded.
        if layout is None or layout.grid == layout.window:
            continue
        packing = None
        if count > 1:
            # (b, windows, tokens, c): such a module makes heads the second axis.
            first = context.shapes.get(path, ())[1:3] == (windows, m)
            packing = Packing(windows, count, heads_first=first)
        return KeyPositions(index, path, "windows", h * count, layout.grid, layout, packing=packing)
    return None


def _grid(m: int, context: PassContext) -> tuple[tuple[int, ...], bool] | None:
    """The grid of ``m`` keys and whether a prefix comes before it: the model's own grid first,
    then (attention to pooled keys, hierarchical models) any that has the image's shape."""
    p = context.prefix.count
    both = [(m - p, True), (m, False)] if p else [(m, False)]
    for finder in (whole_patches, even_grid):
        for count, prefixed in both:
            grid = finder(count, context.image, context.patch)
            if grid is not None:
                return grid, prefixed
    return None


def _followed_grid(path: str, m: int, context: PassContext) -> tuple[tuple[int, ...], bool] | None:
    """The same by what the model did to the image before: of a half of it, say."""
    for name, grid in context.grids.items():
        if grid is not None and split_call(name)[0] == path:
            for count, prefixed in ((m - context.prefix.count, True), (m, False)):
                if math.prod(grid.sizes) == count > 1:
                    return grid.sizes, prefixed and context.prefix.count > 0
    return None


def _window_positions(
    index: int, record: Record, context: PassContext, path: str, module: nn.Module
) -> KeyPositions | str:
    shape = context.shapes.get(path, ())
    if len(shape) == 4:
        grid: tuple[int, ...] | None = shape[1:3]
    else:
        grid = patch_grid(shape[1], context.image) if len(shape) == 3 else None
    if grid is None or len(grid) != 2:
        return f"the grid of its windows isn't known: {path} was given the shape {shape}"
    layout = layout_of(module, (grid[0], grid[1]))
    b, h, _, m = record.shape
    count = math.prod(layout.windows)
    if (b, m) != (context.batch * count, math.prod(layout.window)):
        return (
            f"{b} windows of {m} places were seen for {context.batch} images, but {count} of "
            f"{math.prod(layout.window)} for each image were expected over {grid[0]}×{grid[1]}"
        )
    return KeyPositions(index, record.path, "windows", h, layout.grid, layout)


def overlap_positions(
    index: int, record: Record, context: PassContext
) -> KeyPositions | str | None:
    """A record of window queries against keys of enlarged windows: by what its module states
    (``window_size`` and ``overlap_win_size``, HAT's names), or by its shape, in a module that holds
    ``nn.Unfold`` or says overlap in its name.

    The reason where a module states it and its sizes don't fit; None where it is no such record.
    """
    overlap = overlap_module(context.model, record.path)
    if overlap is not None:
        path, module = overlap
        for grid in _input_grids(path, context):
            layout = overlap_layout_of(module, grid)
            if layout is not None and _fits(layout, record, context):
                return KeyPositions(index, record.path, "overlap", record.shape[1], grid, layout)
        return (
            f"windows of {module.window_size} with keys from {module.overlap_win_size} don't fit "
            f"its attention of the shape {record.shape} over {context.shapes.get(path, ())}"
        )
    window, keys = math.isqrt(record.shape[2]), math.isqrt(record.shape[3])
    if record.shape[0] == context.batch or (window**2, keys**2) != record.shape[2:]:
        return None
    for path in enclosing_paths(record.path):
        module = module_at(context.model, path)
        # Hiera's pooled queries have such shapes too, with keys that lie elsewhere.
        unfolds = any(isinstance(child, nn.Unfold) for child in module.children())
        if not (unfolds or "overlap" in f"{path} {type(module).__name__}".lower()):
            continue
        for grid in _input_grids(path, context):
            layout = enlarged_layout(grid, (window, window), (keys, keys))
            if layout is not None and _fits(layout, record, context):
                return KeyPositions(index, record.path, "overlap", record.shape[1], grid, layout)
    return None


def gate_positions(index: int, record: Record, context: PassContext) -> KeyPositions | str:
    """Where a channel gate's map of the shape (b, *space) lies, or why it can't be placed."""
    space = tuple(record.value[1].shape[1:])
    if record.shape[0] != context.batch:
        return f"its gates are for {record.shape[0]} parts of {context.batch} images"
    if len(space) == len(context.image):
        grid: tuple[int, ...] | None = space if math.prod(space) > 1 else None
    else:
        grid_and_prefix = _grid(space[0], context) if len(space) == 1 else None
        grid = None if grid_and_prefix is None else grid_and_prefix[0]
    if grid is None:
        return f"what it multiplies lies on {'×'.join(map(str, space))}, no grid over the image"
    return KeyPositions(index, record.path, "channel", 1, grid)


def _fits(layout: WindowLayout, record: Record, context: PassContext) -> bool:
    b, _, n, m = record.shape
    whole = all(g % w == 0 for g, w in zip(layout.grid, layout.window, strict=True))
    sizes = (context.batch * math.prod(layout.windows), math.prod(layout.window))
    return whole and (b, n, m) == (*sizes, math.prod(layout.keys))


def _input_grids(path: str, context: PassContext) -> list[tuple[int, int]]:
    """Grids (h, w) that the input of the module at ``path`` may lie on: (b, h, w, c), (b, c, h, w)
    or tokens (b, n, c)."""
    shape = context.shapes.get(path, ())
    if not shape or shape[0] != context.batch or len(context.image) != 2:
        return []
    if len(shape) == 4:
        return [(shape[1], shape[2]), (shape[2], shape[3])]
    grid = patch_grid(shape[1], context.image) if len(shape) == 3 else None
    return [] if grid is None else [(grid[0], grid[1])]


def _input_tokens(path: str, context: PassContext) -> set[int]:
    """How many tokens of each image the module at ``path`` may have been given: (b, n, c),
    (b, h, w, c) or (b, c, h, w)."""
    shape = context.shapes.get(path, ())
    if not shape or shape[0] != context.batch:
        return set()
    if len(shape) == 3:
        return {shape[1]}
    return {shape[1] * shape[2], shape[2] * shape[3]} if len(shape) == 4 else set()


def attends_channels(record: Record, context: PassContext) -> bool:
    """Cross-covariance (El-Nouby et al. 2021): heads times queries are the channels of what the
    module was given, and the places are another number."""
    _, h, n, m = record.shape
    shape = context.shapes.get(record.path, ())
    if n != m or len(shape) < 3:
        return False
    channels = {shape[-1]} if len(shape) == 3 else {shape[1], shape[-1]}
    return any(c == h * n and math.prod(shape[1:]) // c != n for c in channels)


def _no_grid_reason(m: int, context: PassContext) -> str:
    size = "×".join(str(side) for side in context.image)
    patch = context.patch and "×".join(str(side) for side in context.patch)
    of = f" of patches of {patch}" if patch else ""
    return (
        f"its {m} keys are no grid{of} over an image of {size} after {context.prefix.count} prefix "
        f"tokens ({context.prefix.source}); if the model has others, give --prefix-tokens"
    )
