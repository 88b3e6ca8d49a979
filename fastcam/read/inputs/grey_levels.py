"""Which grey levels of a volume, or of one of its slices, become black and white for a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from fastcam_kernels.grey import percentiles
from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.read.volumes.named_windows import window_warning
from fastcam.read.volumes.voxels import Volume, windowed

_WHITE = np.float32(255)


@dataclass(frozen=True)
class GreyLevels:
    """The window of a volume's grey levels; by default its file's own, else percentiles 0.5 and
    99.5 of all its voxels.

    - ``window_level``: (center, width) in the unit of the quantity that the file means, such as HU:
      center - width / 2 becomes black, center + width / 2 white
    - ``percentiles``: (low, high) in percent of the voxels, which become black and white

    InputError where both are given, and for numbers that make no window.
    """

    window_level: tuple[float, float] | None = None
    percentiles: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.window_level is not None and self.percentiles is not None:
            raise InputError("--window-level and --percentiles both set the window: give one")
        if self.window_level is not None:
            numbers = _pair("--window-level", "CENTER,WIDTH, as in 40,400", self.window_level)
            if numbers[1] <= 0:
                raise InputError(f"--window-level: the width {numbers[1]:g} must be above 0")
        if self.percentiles is not None:
            low, high = _pair("--percentiles", "LOW,HIGH, as in 1,99", self.percentiles)
            if not 0 <= low < high <= 100:
                raise InputError(
                    f"--percentiles {low:g},{high:g}: give 0 <= LOW < HIGH <= 100, as in 1,99"
                )

    @classmethod
    def of(
        cls, window_level: Sequence[float] | None, percentiles: Sequence[float] | None
    ) -> GreyLevels:
        """As users give them: (center, width), or (low, high)."""
        return cls(
            None if window_level is None else tuple(window_level),  # type: ignore[arg-type]
            None if percentiles is None else tuple(percentiles),  # type: ignore[arg-type]
        )

    @property
    def settings(self) -> dict[str, list[float]]:
        """What was given, as plain values by the names of the fields; empty for the file's own."""
        values = {"window_level": self.window_level, "percentiles": self.percentiles}
        return {name: list(pair) for name, pair in values.items() if pair is not None}

    def with_warnings(self, volumes: Sequence[Volume], source: Path) -> list[Volume]:
        """The volumes of ``source``, of which one says, where it is so, that the window is one of
        CT and they are none."""
        first, *others = volumes
        more = window_warning(self.window_level, first.modality, source)
        return [replace(first, warnings=(*first.warnings, *more)), *others]

    def window(self, volume: Volume) -> tuple[float, float]:
        """(low, high) in the unit of the raw voxels: low becomes black, high white.

        Never equal; ``low > high`` where low values are the bright ones.
        """
        if self.window_level is None and self.percentiles is None:
            return volume.window
        if self.window_level is not None:
            centre, width = self.window_level
            ends = (centre - width / 2, centre + width / 2)
            low, high = ((end - volume.intercept) / volume.slope for end in ends)
        else:
            assert self.percentiles is not None
            low, high = self.percentiles
            if volume.inverted != (volume.slope < 0):
                # The darkest voxels, as they are shown, have the highest raw numbers.
                low, high = 100 - high, 100 - low
            low, high = percentiles(volume.real_voxels, low, high)
            if volume.slope < 0:
                low, high = high, low
        if low == high:
            high = low + max(1.0, abs(low) * 1e-6)
        return (high, low) if volume.inverted else (low, high)


def grey_picture(voxels: NDArray[Any], window: tuple[float, float]) -> NDArray[np.float32]:
    """Voxels of any shape and number type as grey values 0 (black) to 255 (white), float32.

    ``window`` (low, high) in the voxels' unit. Not rounded to whole levels; values beyond the
    window are clipped to its ends, NaN becomes 0.
    """
    grey: NDArray[np.float32] = windowed(voxels, window, np.float32)
    grey *= _WHITE
    return grey


def _pair(option: str, example: str, numbers: Sequence[float]) -> tuple[float, float]:
    if len(numbers) != 2 or not all(math.isfinite(number) for number in numbers):
        raise InputError(f"{option} {','.join(f'{n:g}' for n in numbers)}: give {example}")
    return numbers[0], numbers[1]
