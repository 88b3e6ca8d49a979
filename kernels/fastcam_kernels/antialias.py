"""Resizing of 8-bit pictures with antialiasing, to the number what Pillow's ``resize`` gives.

Where a picture shrinks, the filter is as much wider (Pillow's ``Resample.c``: weights of 22 bits,
first along x, then along y, rounded to 8 bits in between). The models of today are trained with it.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._arrays import plain
from fastcam_kernels._jit import borrowing_kernel, kernel

BILINEAR: Final = 1
BICUBIC: Final = 2

_BITS = 22
_HALF = 1 << (_BITS - 1)
# Columns that are turned while they are in the first-level cache, and rows of a strip.
_BLOCK, _STRIP = 32, 128


@borrowing_kernel
def _response(x: float, method: int) -> float:
    """The triangle, or the cubic of Keys 1981 with a = -0.5, at distance ``x``."""
    x = abs(x)
    if method == 1:
        return 1.0 - x if x < 1.0 else 0.0
    a = -0.5
    if x < 1.0:
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    return (((x - 5.0) * x + 8.0) * x - 4.0) * a if x < 2.0 else 0.0


@kernel
def _weights(
    n_in: int, n_out: int, method: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """First source samples (n_out,), how many (n_out,), and their weights in 2**-22 (n_out, k)."""
    scale = n_in / n_out
    wider = max(scale, 1.0)
    support = method * wider
    first, count = np.empty(n_out, np.int32), np.empty(n_out, np.int32)
    weights = np.zeros((n_out, math.ceil(support) * 2 + 1), np.int32)
    exact = np.empty(weights.shape[1])
    for i in range(n_out):
        center = (i + 0.5) * scale
        low = max(int(center - support + 0.5), 0)
        number = min(int(center + support + 0.5), n_in) - low
        total = 0.0
        for k in range(number):
            exact[k] = _response((k + low - center + 0.5) * (1.0 / wider), method)
            total += exact[k]
        for k in range(number):
            weight = exact[k] / total * (1 << _BITS)
            weights[i, k] = int(weight - 0.5) if weight < 0 else int(weight + 0.5)
        first[i], count[i] = low, number
    return first, count, weights


@borrowing_kernel
def _pack_columns(pixels: NDArray[np.uint8], top: int, rows: int, out: NDArray[np.uint32]) -> None:
    """``rows`` rows of (h, w, c) from ``top`` on, a word a pixel, columns as rows: (w, rows)."""
    width, channels = pixels.shape[1], pixels.shape[2]
    one, two = np.uint64(1), np.uint64(2)
    for left in range(0, width, _BLOCK):
        for y in range(rows):
            row = pixels[top + y]
            # Numbers without a sign, which are not looked at for being below 0.
            for x in range(np.uint64(left), np.uint64(min(left + _BLOCK, width))):
                word = np.uint32(row[x, np.uint64(0)])
                if channels == 3:
                    word |= np.uint32(row[x, one]) << np.uint32(8)
                    word |= np.uint32(row[x, two]) << np.uint32(16)
                out[x, np.uint64(y)] = word


@borrowing_kernel
def _turn_words(words: NDArray[np.uint32], top: int, rows: int, out: NDArray[np.uint32]) -> None:
    """``rows`` rows of (h, w) from ``top`` on, columns as rows: (w, rows)."""
    width = words.shape[1]
    for left in range(0, width, _BLOCK):
        for y in range(rows):
            row = words[top + y]
            for x in range(np.uint64(left), np.uint64(min(left + _BLOCK, width))):
                out[x, np.uint64(y)] = row[x]


@borrowing_kernel
def _share(word: np.uint32, shift: np.uint32, weight: np.int32) -> np.int32:
    """The channel at ``shift`` of a word, weighted.

    Numba computes with 64 bits where it isn't told at each step; with 32 it is half the work.
    """
    level = np.int32(np.uint32(np.uint32(word >> shift) & np.uint32(255)))
    return np.int32(level * weight)


@borrowing_kernel
def _level(total: np.int32) -> np.uint32:
    """A sum of weights in 2**-22 as a level 0 to 255."""
    level = np.int32(total >> np.int32(_BITS))
    level = level if level > np.int32(0) else np.int32(0)
    return np.uint32(level if level < np.int32(255) else np.int32(255))


@borrowing_kernel
def _add(
    words: NDArray[np.uint32], row: int, weight: np.int32, channels: int, sums: NDArray[np.int32]
) -> None:
    """A row of words, weighted, to the sums (c, n) of its channels."""
    line, byte = words[row], np.uint32(255)
    if channels == 1:
        grey = sums[0]
        for x in range(line.shape[0]):
            grey[x] += np.int32(line[x]) * weight
        return
    red, green, blue = sums[0], sums[1], sums[2]
    for x in range(line.shape[0]):
        word = line[x]
        red[x] += np.int32(word & byte) * weight
        green[x] += np.int32((word >> np.uint32(8)) & byte) * weight
        blue[x] += np.int32((word >> np.uint32(16)) & byte) * weight


@borrowing_kernel
def _add_two(
    words: NDArray[np.uint32],
    row: int,
    weight: np.int32,
    next_weight: np.int32,
    channels: int,
    sums: NDArray[np.int32],
) -> None:
    """A row of words and the next one, weighted, to the sums (c, n): these are half the work."""
    line, after, byte = words[row], words[row + 1], np.uint32(255)
    if channels == 1:
        grey = sums[0]
        for x in range(line.shape[0]):
            grey[x] += np.int32(line[x]) * weight + np.int32(after[x]) * next_weight
        return
    red, green, blue = sums[0], sums[1], sums[2]
    for x in range(line.shape[0]):
        word, other = line[x], after[x]
        red[x] += np.int32(word & byte) * weight + np.int32(other & byte) * next_weight
        green[x] += (
            np.int32((word >> np.uint32(8)) & byte) * weight
            + np.int32((other >> np.uint32(8)) & byte) * next_weight
        )
        blue[x] += (
            np.int32((word >> np.uint32(16)) & byte) * weight
            + np.int32((other >> np.uint32(16)) & byte) * next_weight
        )


@borrowing_kernel
def _few_weighted(
    words: NDArray[np.uint32],
    first: int,
    weights: NDArray[np.int32],
    count: int,
    channels: int,
    out: NDArray[np.uint32],
) -> None:
    """``count`` weighted rows, up to five, from ``first`` on, as words ``out`` (n,).

    All of them at once: sums that are stored and loaded for every row take twice the time.
    """
    last = count - 1
    one, two = words[first], words[first + min(1, last)]
    three, four = words[first + min(2, last)], words[first + min(3, last)]
    five = words[first + min(4, last)]
    u, v = np.int32(weights[0]), np.int32(weights[1] if count > 1 else 0)
    w, x = np.int32(weights[2] if count > 2 else 0), np.int32(weights[3] if count > 3 else 0)
    y = np.int32(weights[4] if count > 4 else 0)
    for i in range(out.shape[0]):
        a, b, c, d, e = one[i], two[i], three[i], four[i], five[i]
        word = np.uint32(0)
        for channel in range(channels):
            at = np.uint32(8 * channel)
            total = np.int32(np.int32(_HALF) + _share(a, at, u))
            total = np.int32(total + _share(b, at, v))
            total = np.int32(total + _share(c, at, w))
            total = np.int32(total + _share(d, at, x))
            total = np.int32(total + _share(e, at, y))
            word = np.uint32(word | np.uint32(_level(total) << at))
        out[i] = word


@borrowing_kernel
def _weighted(
    words: NDArray[np.uint32],
    first: int,
    weights: NDArray[np.int32],
    count: int,
    sums: NDArray[np.int32],
    out: NDArray[np.uint32],
) -> None:
    """``count`` weighted rows from ``first`` on, as words ``out`` (n,); ``sums`` (c, n) is used."""
    channels = sums.shape[0]
    if count <= 5:
        # With the number of channels known the loop over pixels vectorizes.
        if channels == 1:
            _few_weighted(words, first, weights, count, 1, out)
        else:
            _few_weighted(words, first, weights, count, 3, out)
        return
    sums[:] = np.int32(_HALF)
    for k in range(0, count - 1, 2):
        _add_two(words, first + k, weights[k], weights[k + 1], channels, sums)
    if count % 2:
        _add(words, first + count - 1, weights[count - 1], channels, sums)
    for i in range(out.shape[0]):
        out[i] = _level(sums[0, i])
    for channel in range(1, channels):
        for i in range(out.shape[0]):
            out[i] |= _level(sums[channel, i]) << np.uint32(8 * channel)


@borrowing_kernel
def _turn_back(narrow: NDArray[np.uint32], rows: int, out: NDArray[np.uint32], top: int) -> None:
    """The first ``rows`` columns of (w, n) as rows of ``out`` from ``top`` on."""
    width = narrow.shape[0]
    # As many lines of the first-level cache as hold sixteen rows of each.
    for left in range(0, width, _BLOCK):
        right = min(left + _BLOCK, width)
        for y in range(np.uint64(rows)):
            row = out[top + y]
            for x in range(np.uint64(left), np.uint64(right)):
                row[x] = narrow[x, y]


@kernel
def _narrowed(pixels: NDArray[Any], channels: int, width: int, method: int) -> NDArray[np.uint32]:
    """(h, w, c) uint8, or (h, w) a word a pixel, resized along x, a word a pixel: (h, width)."""
    height = pixels.shape[0]
    first, count, weights = _weights(pixels.shape[1], width, method)
    out = np.empty((height, width), np.uint32)
    # Strip by strip, so that what is turned stays in the second-level cache.
    columns = np.empty((pixels.shape[1], _STRIP), np.uint32)
    narrow = np.empty((width, _STRIP), np.uint32)
    sums = np.empty((channels, _STRIP), np.int32)
    for top in range(0, height, _STRIP):
        rows = min(_STRIP, height - top)
        if pixels.ndim == 2:
            _turn_words(pixels, top, rows, columns)
        else:
            _pack_columns(pixels, top, rows, columns)
        for i in range(width):
            _weighted(columns, first[i], weights[i], count[i], sums, narrow[i])
        _turn_back(narrow, rows, out, top)
    return out


@kernel
def _resize(pixels: NDArray[Any], method: int, out: NDArray[np.uint8]) -> None:
    channels, height, width = out.shape
    words = _narrowed(pixels, channels, width, method)
    first, count, weights = _weights(words.shape[0], height, method)
    sums = np.empty((channels, width), np.int32)
    line = np.empty(width, np.uint32)
    for i in range(height):
        _weighted(words, first[i], weights[i], count[i], sums, line)
        for channel in range(channels):
            row, shift = out[channel, i], np.uint32(8 * channel)
            for x in range(width):
                row[x] = np.uint8(line[x] >> shift)


def columns_last(size: tuple[int, int], new_size: tuple[int, int]) -> bool:
    """Whether every version of Pillow resizes from ``size`` to ``new_size``, (width, height) each,
    first along x, then along y, so that its numbers are those of :func:`resize_planes`.

    From 13.0 on it goes along y first where that is less work: of pictures that are tall, or lose
    more of their height than of their width. A fiftieth more is not enough for that.
    """
    (width, height), (new_width, new_height) = size, new_size
    return height <= 2 * width and new_height * width * 1.02 >= new_width * height


def resize_planes(
    pixels: NDArray[np.uint8], height: int, width: int, method: int
) -> NDArray[np.uint8]:
    """(h, w, c) uint8, c 1 or 3 -> planes (c, height, width) uint8.

    ``method`` is BILINEAR or BICUBIC. Turned, so that both passes go along rows and vectorize, a
    picture of 512x512x3 takes 0.32 ms to 224x224, by Pillow 1.45; one of 1024x1024x3 2.3 and 4.1
    (AVX-512). ValueError for other shapes and methods.
    """
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or min(*pixels.shape, height, width) < 1:
        raise ValueError(f"can't resize {pixels.shape} to {height}x{width}; give (h, w, 1 or 3)")
    _check_method(method)
    out = np.empty((pixels.shape[2], height, width), np.uint8)
    _resize(plain(pixels, np.uint8), method, out)
    return out


def resize_words(
    words: NDArray[np.uint32], height: int, width: int, method: int
) -> NDArray[np.uint8]:
    """(h, w) uint32 -> planes (3, height, width) uint8, as :func:`resize_planes`.

    A word is a pixel as Pillow keeps it: red in the lowest byte, then green and blue; the highest
    byte counts for nothing. ValueError for other shapes and methods.
    """
    if words.ndim != 2 or min(*words.shape, height, width) < 1:
        raise ValueError(f"can't resize {words.shape} to {height}x{width}; give (h, w)")
    _check_method(method)
    # As plain does it, of the read-only arrays that buffers of other libraries are.
    words = np.ascontiguousarray(words, np.uint32).view()
    words.flags.writeable = False
    out = np.empty((3, height, width), np.uint8)
    _resize(words, method, out)
    return out


def _check_method(method: int) -> None:
    if method not in (BILINEAR, BICUBIC):
        raise ValueError(f"resize method {method} is unknown; use BILINEAR or BICUBIC")
