"""Levels of 8 bits to the numbers that a table has for them, channel by channel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._arrays import plain
from fastcam_kernels._jit import kernel


@kernel
def _through(
    planes: NDArray[np.uint8], tables: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    height, width, channels = out.shape
    several = planes.shape[0] > 1
    for y in range(height):
        for channel in range(channels):
            levels, table = planes[channel if several else 0, y], tables[channel]
            for x in range(width):
                out[y, x, channel] = table[np.uint64(levels[x])]


def through_tables(planes: NDArray[np.uint8], tables: NDArray[np.float32]) -> NDArray[np.float32]:
    """(c or 1, h, w) uint8 and tables (c, 256) float32 -> (h, w, c) float32.

    One plane goes through every table. ValueError for other shapes.
    """
    if planes.ndim != 3 or tables.shape[1:] != (256,) or planes.shape[0] not in (1, len(tables)):
        raise ValueError(
            f"can't look {planes.shape} up in tables of {tables.shape}; give (c or 1, h, w) and "
            "(c, 256)"
        )
    out = np.empty((*planes.shape[1:], len(tables)), np.float32)
    _through(plain(planes, np.uint8), plain(tables, np.float32), out)
    return out
