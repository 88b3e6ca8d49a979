"""Sliding windows over images larger than one pass: where they lie, and how they are blended.

The plan and the weights are those of MONAI's ``sliding_window_inference``.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from fastcam.errors import InputError

Blend = Literal["gaussian", "constant"]
# Standard deviation of the Gaussian, as a share of a window's side; the weight never falls below.
SIGMA, LEAST = 0.125, 1e-3


@dataclass(frozen=True)
class WindowPlan:
    """Windows that slide over the model's input.

    - ``size``: sides (h, w) or (d, h, w) of a window in pixels, or one for all
    - ``overlap``: the share of a window's side that the next one covers, too, 0 to below 1
    - ``blend``: "gaussian": the middle of a window counts more than its edges; "constant"

    Raises InputError for values out of range.
    """

    size: tuple[int, ...]
    overlap: float = 0.5
    blend: Blend = "gaussian"

    def __post_init__(self) -> None:
        if not self.size or min(self.size) < 1 or len(self.size) > 3:
            raise InputError(f"--window {self.text}: give one side, or h,w or d,h,w")
        if not 0.0 <= self.overlap < 1.0:
            raise InputError(f"--overlap {self.overlap}: must be 0 or more, below 1")
        if self.blend not in get_args(Blend):
            raise InputError(
                f"--window-blend {self.blend!r} is not known: use {', '.join(get_args(Blend))}"
            )

    @property
    def text(self) -> str:
        """As on the command line."""
        return ",".join(map(str, self.size))

    def sides(self, image: Sequence[int]) -> tuple[int, ...]:
        """A window's sides over an ``image`` of that size: never more than the image's own.
        InputError where the number of axes differs."""
        sizes = self.size * len(image) if len(self.size) == 1 else self.size
        if len(sizes) != len(image):
            raise InputError(
                f"--window {self.text}: the model's input has {len(image)} axes, "
                f"{' x '.join(map(str, image))}"
            )
        return tuple(min(side, extent) for side, extent in zip(sizes, image, strict=True))

    def warn_if_whole(self, image: Sequence[int]) -> None:
        """A UserWarning where one window is all of an ``image`` of that size: nothing is gained."""
        if self.sides(image) == tuple(image):
            pixels = " x ".join(map(str, image))
            warnings.warn(
                f"--window {self.text}: the model's input has {pixels} pixels, which one window "
                "sees in one pass: the maps are those without --window",
                stacklevel=2,
            )

    def starts(self, image: Sequence[int]) -> list[tuple[int, ...]]:
        """The first pixel of each window; the last ones end where the image does."""
        axes = []
        for side, extent in zip(self.sides(image), image, strict=True):
            step = extent if side == extent else max(1, int(side * (1 - self.overlap)))
            count = 1 + max(0, math.ceil((extent - side) / step))
            axes.append([min(number * step, extent - side) for number in range(count)])
        return list(itertools.product(*axes))
