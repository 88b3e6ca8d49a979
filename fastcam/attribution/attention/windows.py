"""Attention within windows, put back into the image.

A block pads its grid to whole windows, rolls it by minus the shift, and cuts it into windows, row
by row (Swin, Liu et al. 2021, section 3.2). timm rolls first and pads the rolled grid; torchvision
and Hugging Face pad first. Overlapping cross-attention cuts keys from windows that reach over their
neighbors (HAT, Chen et al. 2023, section 3.2.3). Dilated windows take one token of each part of a
grid: MaxViT's grid attention (Tu et al. 2022, section 3.2), and MobileViT's, where a window has the
pixels of one place in every patch (Mehta & Rastegari 2022, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor, nn

from fastcam.attribution.layer_names import module_at
from fastcam.errors import InputError

# TNT's attention between the tokens of each patch, and how many these are (Han et al. 2021,
# section 2.2).
_INNER, _INNER_GRID = "attn_in", (4, 4)


@dataclass(frozen=True)
class WindowLayout:
    """How windows lie over a grid of tokens; all pairs are (y, x), in tokens.

    - ``grid``: without padding
    - ``window``: sides of a window of queries
    - ``shift``: the grid was rolled by minus this
    - ``roll_first``: whether it was rolled before it was padded
    - ``reach``: how far keys lie beyond their window on each side
    - ``dilated``: whether a window's tokens lie apart, one in each of ``window`` equal parts of the
      grid, and not side by side
    """

    grid: tuple[int, int]
    window: tuple[int, int]
    shift: tuple[int, int] = (0, 0)
    roll_first: bool = False
    reach: tuple[int, int] = (0, 0)
    dilated: bool = False

    @property
    def keys(self) -> tuple[int, int]:
        """Sides (y, x) of the window that keys come from."""
        return self.window[0] + 2 * self.reach[0], self.window[1] + 2 * self.reach[1]

    @property
    def windows(self) -> tuple[int, int]:
        """Number of windows in (y, x)."""
        (h, w), (wh, ww) = self.grid, self.window
        return math.ceil(h / wh), math.ceil(w / ww)

    @property
    def padded(self) -> tuple[int, int]:
        """The grid with its padding."""
        return self.windows[0] * self.window[0], self.windows[1] * self.window[1]


def merge_windows(values: Tensor, layout: WindowLayout) -> Tensor:
    """Values (b · windows, c, places) of the keys of windows to (b, c, h, w) over the grid.

    A place that several windows reach over has the mean of their values.
    """
    (ny, nx), (wh, ww), (h, w) = layout.windows, layout.window, layout.grid
    c, places = values.shape[1], math.prod(layout.keys)
    if values.shape[0] % (ny * nx) or values.shape[2] != places:
        raise InputError(
            f"windows of {wh}×{ww} over a grid of {h}×{w} are {ny * nx} for each image with "
            f"{places} places, but there are {values.shape[0]} with {values.shape[2]}"
        )
    if any(layout.reach):
        counts = values.new_ones(ny * nx, 1, places)
        return sum_windows(values, layout) / sum_windows(counts, layout)
    cut = values.reshape(-1, ny, nx, c, wh, ww)
    if layout.dilated:
        return cut.permute(0, 3, 4, 1, 5, 2).reshape(-1, c, wh * ny, ww * nx)[..., :h, :w]
    padded = cut.permute(0, 3, 1, 4, 2, 5).reshape(-1, c, ny * wh, nx * ww)
    if layout.roll_first:
        return torch.roll(padded[..., :h, :w], layout.shift, (2, 3))
    return torch.roll(padded, layout.shift, (2, 3))[..., :h, :w]


def sum_windows(values: Tensor, layout: WindowLayout) -> Tensor:
    """As ``merge_windows``, but the values of several windows at one place are added.

    The adjoint of cutting enlarged windows with zeros around the grid: what lies there is dropped.
    Windows that reach over their neighbors are not shifted.
    """
    (ny, nx), (wh, ww), (h, w) = layout.windows, layout.window, layout.grid
    columns = values.reshape(-1, ny * nx, values.shape[1] * values.shape[2]).transpose(1, 2)
    padded = F.fold(
        columns, (ny * wh, nx * ww), layout.keys, padding=layout.reach, stride=layout.window
    )
    return padded[..., :h, :w]


def window_module(model: nn.Module, path: str) -> tuple[str, nn.Module] | None:
    """Path and module that state ``window_size`` and ``shift_size`` of the attention at ``path``:
    itself or one of the two modules around it. None where attention isn't in shifted windows."""
    return _module_with(model, path, ("window_size", "shift_size"))


def is_windowed(model: nn.Module, path: str) -> bool:
    """Whether the attention at ``path`` is known to have no token but those of a window."""
    return window_module(model, path) is not None or path.rpartition(".")[2] == _INNER


def overlap_module(model: nn.Module, path: str) -> tuple[str, nn.Module] | None:
    """The same for windows whose keys reach over their neighbors: HAT's names of both sizes."""
    return _module_with(model, path, ("window_size", "overlap_win_size"))


def _module_with(
    model: nn.Module, path: str, names: tuple[str, ...]
) -> tuple[str, nn.Module] | None:
    for name in enclosing_paths(path):
        module = module_at(model, name)
        if all(hasattr(module, name) for name in names):
            return name, module
    return None


def enclosing_paths(path: str) -> list[str]:
    """The module at ``path`` and the two around it, without the model itself."""
    parts = path.split(".") if path else []
    return [".".join(parts[:end]) for end in range(len(parts), max(len(parts) - 3, 0), -1)]


def layout_of(module: nn.Module, grid: tuple[int, int]) -> WindowLayout:
    """The layout a Swin block of timm, torchvision or Hugging Face uses over ``grid``, after it
    has run: some fit window and shift to the grid while they run."""
    library = type(module).__module__.partition(".")[0]
    window, shift = _pair(module.window_size), _pair(module.shift_size)
    if library == "torchvision":
        # Inside its function it sets aside the shift of an axis that has a single window; the
        # others have done so already.
        single = [count == 1 for count in WindowLayout(grid, window).windows]
        shift = (0 if single[0] else shift[0], 0 if single[1] else shift[1])
    return WindowLayout(grid, window, shift, roll_first=library == "timm")


def partition_of(
    model: nn.Module,
    path: str,
    shapes: Mapping[str, Sequence[int]],
    batch: int,
    sizes: Sequence[int],
) -> WindowLayout | None:
    """How the attention at ``path`` is cut into windows that aren't shifted, by what a module
    around it states; None where nothing does.

    Read are ``partition_size`` and ``partition_block`` (timm's MaxViT), ``patch_size`` and
    ``patch_area`` (MobileViT; in Hugging Face's ``patch_height`` and ``patch_width``),
    ``window_size`` alone (DaViT, TinyViT, SAM), ``window_resolution`` (EfficientViT),
    ``block_size`` (NesT), ``ws`` (Twins), and ``attn_in`` (TNT, whose windows are the 4×4 parts of
    each patch). ``shapes``: of the first input of each module, by path; ``sizes``: windows of an
    image and tokens of a window as they were seen, which the layout must have.
    """
    parts = path.split(".") if path else []
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        module, shape = module_at(model, name), shapes.get(name, ())
        for grid in _grids_of(module, shape, batch, sizes):
            layout = _partition(module, grid)
            if layout is None:
                continue
            whole = layout.dilated or not any(layout.shift)
            if whole and (math.prod(layout.windows), math.prod(layout.window)) == tuple(sizes):
                return layout
    return None


def _grids_of(
    module: nn.Module, shape: Sequence[int], batch: int, sizes: Sequence[int]
) -> list[tuple[int, int]]:
    """Grids (h, w) that what ``module`` was given, of ``shape``, may lie on."""
    if hasattr(module, _INNER) and len(shape) == 3 and shape[0] == batch * sizes[0]:
        # Of each patch its own tokens: patches and tokens are as many along y as along x.
        side = math.isqrt(sizes[0] * sizes[1])
        return [(side, side)] if side * side == sizes[0] * sizes[1] else []
    if not shape or shape[0] != batch:
        return []
    if len(shape) == 3:
        side = math.isqrt(shape[1])
        return [(side, side)] if hasattr(module, "ws") and side * side == shape[1] else []
    if len(shape) != 4:
        return []
    grids = [(shape[1], shape[2]), (shape[2], shape[3])]
    # A level of NesT pools what it was given, a layer of Hugging Face's MobileViT may.
    pools = hasattr(module, "block_size") or hasattr(module, "patch_height")
    return [*grids, (shape[2] // 2, shape[3] // 2)] if pools else grids


def _partition(module: nn.Module, grid: tuple[int, int]) -> WindowLayout | None:
    """The layout that ``module`` states over ``grid``; None where it states none."""
    if hasattr(module, "partition_size") and hasattr(module, "partition_block"):
        window = _pair(module.partition_size)
        return WindowLayout(grid, window, dilated=not module.partition_block)
    sides = getattr(module, "patch_height", None), getattr(module, "patch_width", None)
    if (hasattr(module, "patch_size") and hasattr(module, "patch_area")) or all(sides):
        patch = _pair(sides if all(sides) else module.patch_size)
        # It enlarges what its patches don't divide.
        window = math.ceil(grid[0] / patch[0]), math.ceil(grid[1] / patch[1])
        enlarged = window[0] * patch[0], window[1] * patch[1]
        return WindowLayout(enlarged, window, dilated=True)
    if hasattr(module, _INNER):
        return WindowLayout(grid, _INNER_GRID)
    for name in ("window_resolution", "block_size", "ws"):
        if isinstance(getattr(module, name, None), int):
            return WindowLayout(grid, _pair(getattr(module, name)))
    if hasattr(module, "window_size") and not hasattr(module, "shift_size"):
        window = _pair(module.window_size)
        return WindowLayout(grid, window) if min(window) > 0 else None
    return None


def overlap_layout_of(module: nn.Module, grid: tuple[int, int]) -> WindowLayout | None:
    """The layout of a module that states ``window_size`` and ``overlap_win_size``; None where the
    second isn't as much larger on both sides."""
    window, keys = _pair(module.window_size), _pair(module.overlap_win_size)
    return enlarged_layout(grid, window, keys)


def enlarged_layout(
    grid: tuple[int, int], window: tuple[int, int], keys: tuple[int, int]
) -> WindowLayout | None:
    """Windows over ``grid`` with keys from windows of ``keys`` tokens around them, if possible."""
    y, x = keys[0] - window[0], keys[1] - window[1]
    if min(y, x) < 0 or y % 2 or x % 2 or not (y or x):
        return None
    return WindowLayout(grid, window, reach=(y // 2, x // 2))


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, tuple | list):
        return int(value[0]), int(value[1])
    return int(value), int(value)
