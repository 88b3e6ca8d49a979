"""Levels of 8 bits to the numbers that a table has for them, channel by channel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._arrays import plain
from fastcam_kernels._jit import borrowing_kernel


@borrowing_kernel
def _through(
    planes: NDArray[np.uint8], tables: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    count, height, width, channels = out.shape
    several = planes.shape[1] > 1
    for image in range(count):
        for y in range(height):
            for channel in range(channels):
                levels, table = planes[image, channel if several else 0, y], tables[channel]
                for x in range(width):
                    out[image, y, x, channel] = table[np.uint64(levels[x])]


def through_tables(
    planes: NDArray[np.uint8],
    tables: NDArray[np.float32],
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """(..., c or 1, h, w) uint8 and tables (c, 256) float32 -> (..., h, w, c) float32.

    One plane goes through every table. The values are written to ``out``, contiguous, where that is
    given. ValueError for other shapes.
    """
    if planes.ndim < 3 or tables.shape[1:] != (256,) or planes.shape[-3] not in (1, len(tables)):
        raise ValueError(
            f"can't look {planes.shape} up in tables of {tables.shape}; give (..., c or 1, h, w) "
            "and (c, 256)"
        )
    before, (height, width) = planes.shape[:-3], planes.shape[-2:]
    shape = (*before, height, width, len(tables))
    if out is None:
        out = np.empty(shape, np.float32)
    if out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise ValueError(f"can't write {shape} float32 to {out.shape} {out.dtype}")
    images = plain(planes, np.uint8).reshape(-1, *planes.shape[-3:])
    _through(images, plain(tables, np.float32), out.reshape(-1, *out.shape[-3:]))
    return out
