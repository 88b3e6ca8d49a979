"""Pictures and masks turned by one of the eight ways to lay down a rectangle."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._arrays import plain
from fastcam_kernels._jit import borrowing_kernel
from fastcam_kernels.grey import reverse, to_grey

_TILE = 64  # pixels; a transpose then reads and writes within the first-level cache


@borrowing_kernel
def _transpose(source: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    height, width = source.shape
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            for y in range(top, min(height, top + _TILE)):
                for x in range(left, min(width, left + _TILE)):
                    out[x, y] = source[y, x]


@borrowing_kernel
def _scale(source: NDArray[np.uint8], factor: int, out: NDArray[np.uint8]) -> None:
    for x in range(source.shape[0]):
        out[x] = np.uint8(source[x] * factor)


@borrowing_kernel
def _scale_flipped(
    source: NDArray[np.uint8],
    factor: int,
    flip_rows: bool,
    flip_columns: bool,
    out: NDArray[np.uint8],
) -> None:
    height = source.shape[0]
    for y in range(height):
        out_row = out[height - 1 - y if flip_rows else y]
        if flip_columns:
            reverse(source[y], factor, out_row)
        else:
            _scale(source[y], factor, out_row)


def turned_grey(
    source: NDArray[Any],
    window: tuple[float, float],
    orientation: tuple[bool, bool, bool],
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """``to_grey`` of (h, w), turned: (h, w), or (w, h) where it is transposed.

    ``window`` (low, high); ``orientation`` (transpose, flip_rows, flip_columns), transposed first.
    ``out`` is a C-contiguous array of the result's shape to use again.
    """
    transpose, flip_rows, flip_columns = orientation
    if not transpose:
        return to_grey(source, *window, out, flip_rows, flip_columns)
    # Flipped before instead of after, the flips change places.
    return _transposed(to_grey(source, *window, None, flip_columns, flip_rows), out)


def turned_mask(
    mask: NDArray[np.uint8],
    orientation: tuple[bool, bool, bool],
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """A mask (h, w) of 0 and 1 as a picture of 0 and 255, turned as by ``turned_grey``."""
    transpose, flip_rows, flip_columns = orientation
    source = plain(mask, np.uint8)
    if transpose:
        source = _transposed(source, None)
    out = np.empty(source.shape, np.uint8) if out is None else out
    _scale_flipped(source, 255, flip_rows, flip_columns, out)
    return out


def _transposed(picture: NDArray[np.uint8], out: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    out = np.empty(picture.shape[::-1], np.uint8) if out is None else out
    _transpose(picture, out)
    return out
