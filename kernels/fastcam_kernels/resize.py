"""Resizing with half-pixel centers: nearest, bilinear, bicubic.

Output sample ``i`` lies at ``(i + 0.5) * n_in / n_out - 0.5`` in source samples, edges repeat
the border sample. That is OpenCV's INTER_LINEAR and INTER_CUBIC (Keys 1981, a = -0.75) and
PyTorch's ``interpolate(align_corners=False)``. Nearest takes ``floor((i + 0.5) * n_in / n_out)``,
PyTorch's ``nearest-exact``. Shrinking does not smooth first, as in OpenCV.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._arrays import plain
from fastcam_kernels._jit import borrowing_kernel, kernel

NEAREST: Final = 0
BILINEAR: Final = 1
BICUBIC: Final = 2


@kernel
def taps(n_in: int, n_out: int, method: int) -> tuple[NDArray[np.int32], NDArray[np.float32], int]:
    """Source samples and weights along one axis, both (n_out, 4), and how many of the four count.

    Those beyond have weight 0. ``method`` is NEAREST, BILINEAR or BICUBIC.
    """
    index, weight = np.empty((n_out, 4), np.int32), np.empty((n_out, 4), np.float32)
    for i in range(n_out):
        if method == 0:
            first = (2 * i + 1) * n_in // (2 * n_out)
            shift = 0
            weight[i, 0] = 1.0
            weight[i, 1] = weight[i, 2] = weight[i, 3] = 0.0
        else:
            center = (i + 0.5) * n_in / n_out - 0.5
            first = math.floor(center)
            t = center - first
            if method == 1:
                shift = 0
                weight[i, 0] = 1.0 - t
                weight[i, 1] = t
                weight[i, 2] = weight[i, 3] = 0.0
            else:
                shift = -1
                a = -0.75
                u = 1.0 - t
                weight[i, 0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a
                weight[i, 1] = ((a + 2) * t - (a + 3)) * t * t + 1
                weight[i, 2] = ((a + 2) * u - (a + 3)) * u * u + 1
                weight[i, 3] = 1.0 - weight[i, 0] - weight[i, 1] - weight[i, 2]
        for k in range(4):
            index[i, k] = min(max(first + shift + k, 0), n_in - 1)
    return index, weight, 1 if method == 0 else (2 if method == 1 else 4)


@borrowing_kernel
def _widen(
    row: NDArray[Any],
    channels: int,
    index: NDArray[np.int32],
    weight: NDArray[np.float32],
    count: int,
    out: NDArray[np.float32],
) -> None:
    """One source row (w * channels,) resampled along x to ``out`` (n_out * channels,)."""
    for c in range(channels):
        if count == 1:
            for i in range(index.shape[0]):
                out[i * channels + c] = row[index[i, 0] * channels + c]
        elif count == 2:
            for i in range(index.shape[0]):
                out[i * channels + c] = weight[i, 0] * np.float32(
                    row[index[i, 0] * channels + c]
                ) + weight[i, 1] * np.float32(row[index[i, 1] * channels + c])
        else:
            for i in range(index.shape[0]):
                out[i * channels + c] = (
                    weight[i, 0] * np.float32(row[index[i, 0] * channels + c])
                    + weight[i, 1] * np.float32(row[index[i, 1] * channels + c])
                    + weight[i, 2] * np.float32(row[index[i, 2] * channels + c])
                    + weight[i, 3] * np.float32(row[index[i, 3] * channels + c])
                )


class Sampler(NamedTuple):
    """Where the samples of a resampled picture come from, made by :func:`sampler`."""

    index_y: NDArray[np.int32]
    """(rows, 4) int32, source rows of each row."""
    weight_y: NDArray[np.float32]
    """(rows, 4) float32, their weights."""
    index_x: NDArray[np.int32]
    """(columns, 4) int32, source columns of each column."""
    weight_x: NDArray[np.float32]
    """(columns, 4) float32, their weights."""
    tap_count: int
    """How many of the four count."""
    ring: NDArray[np.float32]
    """(4, columns * channels) float32, the last source rows already resampled along x."""
    ring_rows: NDArray[np.int32]
    """(4,) int32, which source rows these are; -1 for none."""


@kernel
def sampler(
    source_size: tuple[int, int], size: tuple[int, int], channels: int, method: int
) -> Sampler:
    """The samples of a picture of ``source_size`` (rows, columns) at ``size``; none for (0, 0)."""
    index_y, weight_y, count = taps(source_size[0], size[0], method)
    index_x, weight_x, _ = taps(source_size[1], size[1], method)
    ring, ring_rows = np.empty((4, size[1] * channels), np.float32), np.full(4, -1, np.int32)
    return Sampler(index_y, weight_y, index_x, weight_x, count, ring, ring_rows)


@borrowing_kernel
def sample_row(
    source: NDArray[Any], channels: int, samples: Sampler, row: int, out: NDArray[np.float32]
) -> None:
    """Row ``row`` of ``source`` (h, w * channels) resampled, to ``out`` (columns * channels,).

    Enlarging pays for the x direction once per source row, see ``Sampler.ring``.
    """
    index_x, weight_x, count = samples.index_x, samples.weight_x, samples.tap_count
    index_y, weight_y = samples.index_y[row], samples.weight_y[row]
    ring, ring_rows = samples.ring, samples.ring_rows
    for k in range(count):
        source_row = index_y[k]
        slot = source_row % 4
        if ring_rows[slot] != source_row:
            _widen(source[source_row], channels, index_x, weight_x, count, ring[slot])
            ring_rows[slot] = source_row
    row_0, w0 = ring[index_y[0] % 4], weight_y[0]
    if count == 1:
        for i in range(out.shape[0]):
            out[i] = row_0[i]
        return
    row_1, w1 = ring[index_y[1] % 4], weight_y[1]
    if count == 2:
        for i in range(out.shape[0]):
            out[i] = w0 * row_0[i] + w1 * row_1[i]
        return
    row_2, w2 = ring[index_y[2] % 4], weight_y[2]
    row_3, w3 = ring[index_y[3] % 4], weight_y[3]
    for i in range(out.shape[0]):
        out[i] = w0 * row_0[i] + w1 * row_1[i] + w2 * row_2[i] + w3 * row_3[i]


@borrowing_kernel
def nearest_row(
    source: NDArray[np.uint8], samples: Sampler, row: int, out: NDArray[np.uint8]
) -> None:
    """Row ``row`` of ``source`` (h, w) by the nearest samples alone, to ``out[0]``."""
    source_row, index_x = samples.index_y[row, 0], samples.index_x
    for x in range(out.shape[1]):
        out[0, x] = source[source_row, index_x[x, 0]]


@kernel
def _resize(source: NDArray[Any], method: int, out: NDArray[np.float32]) -> None:
    height, width = out.shape
    samples = sampler((source.shape[0], source.shape[1]), (height, width), 1, method)
    for y in range(height):
        sample_row(source, 1, samples, y, out[y])


def resize(source: NDArray[Any], height: int, width: int, method: int) -> NDArray[np.float32]:
    """Resize (h, w) uint8 or float32 to (height, width) float32, values unrounded and unclipped.

    Raises ValueError when a size is below 1 or the method is unknown.
    """
    _check(min(source.shape), min(height, width), method)
    kind: type[Any] = np.uint8 if source.dtype == np.uint8 else np.float32
    out = np.empty((height, width), np.float32)
    _resize(plain(source, kind), method, out)
    return out


def _check(n_in: int, n_out: int, method: int) -> None:
    if n_in < 1 or n_out < 1:
        raise ValueError(f"can't resize {n_in} samples to {n_out}; both sizes must be at least 1")
    if method not in (NEAREST, BILINEAR, BICUBIC):
        raise ValueError(f"resize method {method} is unknown; use NEAREST, BILINEAR or BICUBIC")


def slice_of(values: NDArray[Any], index: int, depth: int) -> NDArray[Any]:
    """The part of ``values`` (d, ...) at slice ``index`` of ``depth``, interpolated linearly.

    Both cover the same field (``align_corners=False``): it lies at ``(index + 0.5) * d / depth -
    0.5``, and beyond the outermost centers is the outermost value.
    """
    count = len(values)
    at = min(max((index + 0.5) * count / depth - 0.5, 0.0), count - 1.0)
    low = int(at)
    share = at - low
    if share == 0.0:
        outermost: NDArray[Any] = values[low]
        return outermost
    mixed: NDArray[Any] = values[low] * (1.0 - share) + values[low + 1] * share
    return mixed
