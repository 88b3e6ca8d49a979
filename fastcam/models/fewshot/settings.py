"""Sizes of the few-shot network, checked where they are set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from fastcam.errors import InputError
from fastcam.models.vit import VitSettings

ReconstructionKind = Literal["ridge", "mutual"]

# Width and heads; both have 12 blocks, as in DeiT (Touvron et al. 2021).
ARCHS = {"vit_tiny": (192, 3), "vit_small": (384, 6)}
# Side of a window (Swin, Liu et al. 2021); how much wider its keys reach (HAT, Chen et al. 2023).
WINDOW = 7
OVERLAP_RATIO = 0.5
# A ratio is read as a number of tokens when it is this near to one: 0.286 of 7 is 2.
_NEAR = 0.01


@dataclass(frozen=True, kw_only=True)
class FewshotSettings:
    """The architecture of the few-shot network.

    - ``trunk``: the Vision Transformer that everything else comes after, with a class token
    - ``use_mab``: mixed-attention blocks, windows shifted in every other one
    - ``use_ocab``: an overlapping cross-attention block
    - ``use_drff``: fusion of depthwise convolutions
    - ``mixed_depth``: number of mixed-attention blocks
    - ``window``: side of a window in tokens; it must divide both sides of the grid
    - ``enlarged``: side in tokens of the windows that keys come from
    - ``reconstruction``: how query and support are compared

    Raises InputError when the sizes don't go together.
    """

    trunk: VitSettings
    use_mab: bool = False
    use_ocab: bool = False
    use_drff: bool = False
    mixed_depth: int = 2
    window: int = WINDOW
    enlarged: int = WINDOW + 4
    reconstruction: ReconstructionKind = "ridge"

    def __post_init__(self) -> None:
        if not self.trunk.class_token or self.trunk.mean_pooling or self.trunk.pooled_norm:
            raise InputError(
                "fewshot_vit reads the class token: its Vision Transformer can't be one without, "
                "or one that pools the patches"
            )
        if self.mixed_depth < 1:
            raise InputError(f"mixed_depth {self.mixed_depth} is too small: at least 1")
        if self.use_mab or self.use_ocab:
            check_window(self.trunk.grid, self.window)
        if self.use_ocab:
            overlap = self.enlarged - self.window
            if overlap < 2 or overlap % 2 or overlap > 2 * self.window:
                raise _bad_ratio(overlap / self.window, self.window)


def allowed_ratios(window: int) -> tuple[float, ...]:
    """Overlap ratios whose padding is whole, one token a side and more: 2 / window up to 2."""
    return tuple(2 * padding / window for padding in range(1, window + 1))


def enlarged_window(window: int, ratio: float | None = None) -> int:
    """Side of the enlarged window: ``window`` · (1 + ratio); keys are cut with a padding of half
    the difference, so ratio · window must be even.

    None is the allowed ratio nearest to HAT's 0.5 (the larger of two). InputError, naming the
    allowed ratios, for any other.
    """
    if ratio is None:
        ratio = min(allowed_ratios(window), key=lambda r: (abs(r - OVERLAP_RATIO), -r))
    overlap = ratio * window
    if not math.isfinite(overlap):
        raise _bad_ratio(ratio, window)
    whole = round(overlap)
    if abs(overlap - whole) > _NEAR or whole < 2 or whole % 2 or whole > 2 * window:
        raise _bad_ratio(ratio, window)
    return window + whole


def fitting_window(grid: tuple[int, int]) -> int:
    """``WINDOW`` where it divides both sides of the grid, else the largest smaller side that
    does; InputError where only 1 does."""
    common = math.gcd(*grid)
    allowed = [side for side in range(2, WINDOW + 1) if common % side == 0]
    if not allowed:
        raise InputError(
            f"{_grid(grid)} can't be cut into windows: no side from 2 to {WINDOW} divides both of "
            f"its own; use an image size that gives a multiple of {WINDOW} patches a side"
        )
    return max(allowed)


def check_window(grid: tuple[int, int], window: int) -> None:
    """InputError unless windows of ``window`` tokens a side divide ``grid`` (rows, columns)."""
    if window < 2 or grid[0] % window or grid[1] % window:
        raise InputError(
            f"{_grid(grid)} can't be cut into windows of {window}x{window}: use an image size that "
            f"gives a multiple of {window} patches a side"
        )


def _grid(grid: tuple[int, int]) -> str:
    return f"a grid of {grid[0]}x{grid[1]} patches"


def _bad_ratio(ratio: float, window: int) -> InputError:
    allowed = [f"{r:.4g} ({round(r * window)} tokens)" for r in allowed_ratios(window)[:4]]
    more = ", …" if window > 4 else ""
    return InputError(
        f"overlap ratio {ratio:.4g} makes windows of {window} tokens {ratio * window:.4g} wider, "
        "which isn't the same whole number of tokens on both sides, at least one; "
        f"use {', '.join(allowed)}{more}"
    )
