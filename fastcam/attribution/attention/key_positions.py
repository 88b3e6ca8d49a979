"""Which places of the image the keys of a recorded attention are, or why they are none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from fastcam.attribution.attention.records import Record
from fastcam.attribution.attention.tokens import Prefix, even_grid, patch_grid, whole_patches
from fastcam.attribution.attention.windows import (
    WindowLayout,
    around,
    enlarged_layout,
    layout_of,
    overlap_layout_of,
    overlap_module,
    put_back,
    window_module,
)

Shows = Literal["cls", "received", "windows", "pooling", "overlap", "channel"]


@dataclass(frozen=True)
class Scene:
    """What is known of a run: ``image`` size (h, w) or (d, h, w) and ``patch`` size in pixels,
    ``batch`` images, prefix tokens, and the input shape of every module that ran."""

    model: nn.Module
    batch: int
    image: tuple[int, ...]
    patch: tuple[int, ...] | None
    prefix: Prefix
    shapes: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Placed:
    """A record whose keys are places. ``index``: the record's; ``shows``: what its value is;
    ``grid``: (h, w) or (d, h, w) of the places; ``cls``: the CLS token is among the queries."""

    index: int
    path: str
    shows: Shows
    heads: int
    grid: tuple[int, ...]
    layout: WindowLayout | None = None

    def map(self, values: Tensor, batch: int) -> Tensor:
        """Values (b', h, m) of keys to (b, heads, *grid)."""
        if self.layout is not None:
            return put_back(values, self.layout)
        places = values[..., values.shape[-1] - math.prod(self.grid) :]
        return places.reshape(batch, self.heads, *self.grid)


def place(index: int, record: Record, scene: Scene, query: Literal["cls", "mean"]) -> Placed | str:
    """``record`` placed, or the reason why its keys can't be shown as places of the image."""
    b, h, n, m = record.shape
    inside = window_module(scene.model, record.path)
    if inside is not None:
        return _place_windows(index, record, scene, *inside)
    if isinstance(place_overlap(index, record, scene), Placed):
        return "its keys come from overlapping windows: method overlap shows them"
    if h == 1 and b % scene.batch == 0 and _tokens_given(record.path, scene) == n:
        # Heads kept in the first axis: every matrix is over all tokens of an image.
        b, h = scene.batch, b // scene.batch
    if b != scene.batch:
        return (
            f"{b} attention matrices for {scene.batch} images: windows whose arrangement isn't "
            "known (no window_size and shift_size)"
        )
    if _over_channels(record, scene):
        return f"it attends from channel to channel ({n}×{m}), not between places"
    found = _grid(m, scene)
    if found is None:
        return _why(m, scene)
    grid, has_prefix = found
    has_cls = has_prefix and scene.prefix.cls
    if n == 1:
        shows: Shows = "cls" if has_cls else "pooling"
    elif query == "cls":
        if not has_cls:
            return "there is no CLS token among its queries"
        shows = "cls"
    else:
        shows = "received"
    return Placed(index, record.path, shows, h, grid)


def _grid(m: int, scene: Scene) -> tuple[tuple[int, ...], bool] | None:
    """The grid of ``m`` keys and whether a prefix comes before it: the model's own grid first,
    then (attention to pooled keys, hierarchical models) any that has the image's shape."""
    p = scene.prefix.count
    both = [(m - p, True), (m, False)] if p else [(m, False)]
    for finder in (whole_patches, even_grid):
        for count, prefixed in both:
            grid = finder(count, scene.image, scene.patch)
            if grid is not None:
                return grid, prefixed
    return None


def _place_windows(
    index: int, record: Record, scene: Scene, path: str, module: nn.Module
) -> Placed | str:
    shape = scene.shapes.get(path, ())
    if len(shape) == 4:
        grid: tuple[int, ...] | None = shape[1:3]
    else:
        grid = patch_grid(shape[1], scene.image) if len(shape) == 3 else None
    if grid is None or len(grid) != 2:
        return f"the grid of its windows isn't known: {path} was given the shape {shape}"
    layout = layout_of(module, (grid[0], grid[1]))
    b, h, _, m = record.shape
    count = math.prod(layout.windows)
    if (b, m) != (scene.batch * count, math.prod(layout.window)):
        return (
            f"{b} windows of {m} places were seen for {scene.batch} images, but {count} of "
            f"{math.prod(layout.window)} for each image were expected over {grid[0]}×{grid[1]}"
        )
    return Placed(index, record.path, "windows", h, layout.grid, layout)


def place_overlap(index: int, record: Record, scene: Scene) -> Placed | str | None:
    """A record of window queries against keys of enlarged windows: by what its module states
    (``window_size`` and ``overlap_win_size``, HAT's names), or by its shape, in a module that holds
    ``nn.Unfold`` or says overlap in its name.

    The reason where a module states it and its sizes don't fit; None where it is no such record.
    """
    stated = overlap_module(scene.model, record.path)
    if stated is not None:
        path, module = stated
        for grid in _grids_given(path, scene):
            layout = overlap_layout_of(module, grid)
            if layout is not None and _holds(layout, record, scene):
                return Placed(index, record.path, "overlap", record.shape[1], grid, layout)
        return (
            f"windows of {module.window_size} with keys from {module.overlap_win_size} don't fit "
            f"its attention of the shape {record.shape} over {scene.shapes.get(path, ())}"
        )
    window, keys = math.isqrt(record.shape[2]), math.isqrt(record.shape[3])
    if record.shape[0] == scene.batch or (window**2, keys**2) != record.shape[2:]:
        return None
    for path in around(record.path):
        module = scene.model.get_submodule(path)
        # Hiera's pooled queries have such shapes too, with keys that lie elsewhere.
        unfolds = any(isinstance(child, nn.Unfold) for child in module.children())
        if not (unfolds or "overlap" in f"{path} {type(module).__name__}".lower()):
            continue
        for grid in _grids_given(path, scene):
            layout = enlarged_layout(grid, (window, window), (keys, keys))
            if layout is not None and _holds(layout, record, scene):
                return Placed(index, record.path, "overlap", record.shape[1], grid, layout)
    return None


def place_gate(index: int, record: Record, scene: Scene) -> Placed | str:
    """A channel gate's map of the shape (b, *space) placed, or why it can't be."""
    space = tuple(record.value[1].shape[1:])
    if record.shape[0] != scene.batch:
        return f"its gates are for {record.shape[0]} parts of {scene.batch} images"
    if len(space) == len(scene.image):
        grid: tuple[int, ...] | None = space if math.prod(space) > 1 else None
    else:
        found = _grid(space[0], scene) if len(space) == 1 else None
        grid = None if found is None else found[0]
    if grid is None:
        return f"what it multiplies lies on {'×'.join(map(str, space))}, no grid over the image"
    return Placed(index, record.path, "channel", 1, grid)


def _holds(layout: WindowLayout, record: Record, scene: Scene) -> bool:
    b, _, n, m = record.shape
    whole = all(g % w == 0 for g, w in zip(layout.grid, layout.window, strict=True))
    sizes = (scene.batch * math.prod(layout.windows), math.prod(layout.window))
    return whole and (b, n, m) == (*sizes, math.prod(layout.keys))


def _grids_given(path: str, scene: Scene) -> list[tuple[int, int]]:
    """Grids (h, w) that the input of the module at ``path`` may lie on: (b, h, w, c), (b, c, h, w)
    or tokens (b, n, c)."""
    shape = scene.shapes.get(path, ())
    if not shape or shape[0] != scene.batch or len(scene.image) != 2:
        return []
    if len(shape) == 4:
        return [(shape[1], shape[2]), (shape[2], shape[3])]
    grid = patch_grid(shape[1], scene.image) if len(shape) == 3 else None
    return [] if grid is None else [(grid[0], grid[1])]


def _tokens_given(path: str, scene: Scene) -> int | None:
    """How many tokens (b, n, c) of each image the module at ``path`` was given."""
    shape = scene.shapes.get(path, ())
    return shape[1] if len(shape) == 3 and shape[0] == scene.batch else None


def _over_channels(record: Record, scene: Scene) -> bool:
    """Cross-covariance (El-Nouby et al. 2021): heads times queries are the channels of what the
    module was given, and the places are another number."""
    _, h, n, m = record.shape
    shape = scene.shapes.get(record.path, ())
    if n != m or len(shape) < 3:
        return False
    channels = {shape[-1]} if len(shape) == 3 else {shape[1], shape[-1]}
    return any(c == h * n and math.prod(shape[1:]) // c != n for c in channels)


def _why(m: int, scene: Scene) -> str:
    size = "×".join(str(side) for side in scene.image)
    patch = scene.patch and "×".join(str(side) for side in scene.patch)
    of = f" of patches of {patch}" if patch else ""
    return (
        f"its {m} keys are no grid{of} over an image of {size} after {scene.prefix.count} prefix "
        f"tokens ({scene.prefix.source}); if the model has others, give --prefix-tokens"
    )
