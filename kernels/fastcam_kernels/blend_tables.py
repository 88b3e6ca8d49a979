"""Tables by which heat is mixed with an image: what one level of a color table comes to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._arrays import plain
from fastcam_kernels._jit import borrowing_kernel
from fastcam_kernels.blend import to_level

Mode = Literal["flat", "heat", "only"]


@borrowing_kernel
def _blend_lookup(
    image_weight: NDArray[np.float32],
    heat_color: NDArray[np.float32],
    values: int,
    lookup: NDArray[np.uint32],
) -> None:
    for i in range(256):
        weight = image_weight[i]
        red, green, blue = heat_color[i, 0], heat_color[i, 1], heat_color[i, 2]
        entry = lookup[values * i : values * (i + 1)]
        for v in range(values):
            grey = weight * np.float32(v)
            entry[v] = (
                to_level(grey + red) | (to_level(grey + green) << 8) | (to_level(grey + blue) << 16)
            )


@dataclass(frozen=True, eq=False)
class BlendTables:
    """``pixel = image_weight[i] * image + heat_color[i]`` for each heat level i.

    The tables that the kernels look up follow from these two. Each is computed when a panel first
    needs it: a job has two or three sets, and draws thousands of panels with them.

    Attributes:
        image_weight: (256,) float32, what the image weighs under each level; not to be changed.
        heat_color: (256, 3) float32 RGB 0..255, what each level adds; not to be changed.
    """

    image_weight: NDArray[np.float32]
    heat_color: NDArray[np.float32]

    @cached_property
    def without_image(self) -> NDArray[np.uint32]:
        """(256,) uint32, the color 0xBBGGRR of each level where there is no image."""
        return self._lookup(1)

    @cached_property
    def lookup(self) -> NDArray[np.uint32]:
        """(256 * 256,) uint32, the color 0xBBGGRR of level i over grey v at ``256 * i + v``.

        It takes 0.06 ms and 256 KiB, which stay in the second-level cache.
        """
        return self._lookup(256)

    @cached_property
    def steps(self) -> NDArray[np.uint16]:
        """(256, 5) uint16 ``usable, weight, red, green, blue`` in whole numbers for each level.

        Where ``usable`` is 1, ``(weight * v + red) >> 8`` is the red of ``lookup`` for every grey
        value v, and so on; else all five are 0. Takes 1 ms.
        """
        steps = np.zeros((256, 5), np.uint16)
        values = np.arange(256, dtype=np.int64)
        weight = np.rint(self.image_weight.astype(np.float64) * 256).astype(np.int64)
        offset = np.rint(self.heat_color.astype(np.float64) * 256 + 128).astype(np.int64)
        mixed = weight[:, None, None] * values + offset[:, :, None]
        shifts = np.array([0, 8, 16], np.uint32)[:, None]
        shades = self.lookup.reshape(256, 1, 256) >> shifts & 255
        usable = ((mixed < 65536) & (mixed >> 8 == shades)).all(axis=(1, 2))
        steps[usable] = np.column_stack([np.ones(256, np.int64), weight, offset])[usable]
        return steps

    def _lookup(self, values: int) -> NDArray[np.uint32]:
        lookup = np.empty(256 * values, np.uint32)
        weight, color = plain(self.image_weight, np.float32), plain(self.heat_color, np.float32)
        _blend_lookup(weight, color, values, lookup)
        return lookup


def blend_tables(colors: NDArray[np.uint8], alpha: float, mode: Mode) -> BlendTables:
    """The tables of a color table (256, 3) uint8 RGB.

    ``flat``: the heat weighs ``alpha`` everywhere; ``heat``: ``alpha * i / 255``; ``only``: 1, so
    the image doesn't show. ValueError for an ``alpha`` outside 0..1 and for another mode.
    """
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha {alpha} lies outside 0..1")
    if mode == "flat":
        weight = np.full(256, alpha)
    elif mode == "heat":
        weight = alpha * np.arange(256) / 255.0
    elif mode == "only":
        weight = np.ones(256)
    else:
        raise ValueError(f"blend mode {mode!r} is unknown; there are flat, heat and only")
    return weighted_tables(colors, weight)


def weighted_tables(colors: NDArray[np.uint8], weight: NDArray[np.float64]) -> BlendTables:
    """The tables of a color table (256, 3) uint8 RGB whose levels weigh ``weight`` (256,), 0..1."""
    return BlendTables(
        (1.0 - weight).astype(np.float32), (weight[:, None] * colors).astype(np.float32)
    )


NO_TABLES = BlendTables(np.ones(256, np.float32), np.zeros((256, 3), np.float32))
