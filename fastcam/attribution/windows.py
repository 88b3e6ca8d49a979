"""Attention within windows, put back into the image (Swin, Liu et al. 2021, section 3.2).

A block pads its grid to whole windows, rolls it by minus the shift, and cuts it into windows, row
by row. timm rolls first and pads the rolled grid; torchvision and Hugging Face pad first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.errors import InputError


@dataclass(frozen=True)
class WindowLayout:
    """How windows lie over a grid of tokens; all pairs are (y, x), in tokens.

    ``grid``: without padding. ``shift``: the grid was rolled by minus this. ``roll_first``:
    rolled before it was padded.
    """

    grid: tuple[int, int]
    window: tuple[int, int]
    shift: tuple[int, int] = (0, 0)
    roll_first: bool = False

    @property
    def windows(self) -> tuple[int, int]:
        """Number of windows in (y, x)."""
        (h, w), (wh, ww) = self.grid, self.window
        return math.ceil(h / wh), math.ceil(w / ww)


def put_back(values: Tensor, layout: WindowLayout) -> Tensor:
    """Values (b · windows, c, wh · ww) of the tokens in windows to (b, c, h, w) over the grid."""
    (ny, nx), (wh, ww), (h, w) = layout.windows, layout.window, layout.grid
    c = values.shape[1]
    if values.shape[0] % (ny * nx) or values.shape[2] != wh * ww:
        raise InputError(
            f"windows of {wh}×{ww} over a grid of {h}×{w} are {ny * nx} for each image with "
            f"{wh * ww} places, but there are {values.shape[0]} with {values.shape[2]}"
        )
    cut = values.reshape(-1, ny, nx, c, wh, ww)
    padded = cut.permute(0, 3, 1, 4, 2, 5).reshape(-1, c, ny * wh, nx * ww)
    if layout.roll_first:
        return torch.roll(padded[..., :h, :w], layout.shift, (2, 3))
    return torch.roll(padded, layout.shift, (2, 3))[..., :h, :w]


def window_module(model: nn.Module, path: str) -> tuple[str, nn.Module] | None:
    """Path and module that state ``window_size`` and ``shift_size`` of the attention at ``path``:
    itself or one of the two modules around it. None where attention isn't in shifted windows."""
    for up in range(3):
        at = ".".join(path.split(".")[: path.count(".") + 1 - up])
        if not at:
            return None
        module = model.get_submodule(at)
        if hasattr(module, "window_size") and hasattr(module, "shift_size"):
            return at, module
    return None


def layout_of(module: nn.Module, grid: tuple[int, int]) -> WindowLayout:
    """The layout a Swin block of timm, torchvision or Hugging Face uses over ``grid``, after it
    has run: some fit window and shift to the grid while they run."""
    library = type(module).__module__.partition(".")[0]
    window, shift = _pair(module.window_size), _pair(module.shift_size)
    if library == "torchvision":
        # Inside its function it sets aside the shift of an axis that has a single window; the
        # others have done so already.
        one = [count == 1 for count in WindowLayout(grid, window).windows]
        shift = (0 if one[0] else shift[0], 0 if one[1] else shift[1])
    return WindowLayout(grid, window, shift, roll_first=library == "timm")


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, tuple | list):
        return int(value[0]), int(value[1])
    return int(value), int(value)
