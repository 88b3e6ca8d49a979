"""Heat over a grey image where heat is patchy: runs of equal levels, blended in whole numbers.

Within a run the blended colour depends on the grey value alone and, for most weights, is a
product of 16 bits exactly; that vectorises, where ``blend.blend_row`` looks up every pixel.
512x512 under 24 patches: 0.065 ms instead of 0.114.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._jit import kernel

SHORTEST = 32  # pixels; for less than two vectors a look-up is as fast


def exact_steps(
    image_weight: NDArray[np.float32], heat_colour: NDArray[np.float32], lookup: NDArray[np.uint32]
) -> NDArray[np.uint16]:
    """Whole numbers for each heat level: (256, 5) ``usable, weight, red, green, blue``.

    Where ``usable`` is 1, ``(weight * v + red) >> 8`` is the red of ``lookup`` (256 * 256,), as
    made by ``blend.blend_lookup``, for every grey value v, and so on; else it is 0.
    """
    steps = np.zeros((256, 5), np.uint16)
    values = np.arange(256, dtype=np.int64)
    weight = np.rint(image_weight.astype(np.float64) * 256).astype(np.int64)
    offset = np.rint(heat_colour.astype(np.float64) * 256 + 128).astype(np.int64)
    mixed = weight[:, None, None] * values + offset[:, :, None]
    shades = lookup.reshape(256, 1, 256) >> np.array([0, 8, 16], np.uint32)[:, None] & 255
    usable = ((mixed < 65536) & (mixed >> 8 == shades)).all(axis=(1, 2))
    steps[usable] = np.column_stack([np.ones(256, np.int64), weight, offset])[usable]
    return steps


@kernel
def runs_of(heat: NDArray[np.uint8], row: int, starts: NDArray[np.int32]) -> int:
    """Number of runs of equal levels in a row; run k is ``starts[k]`` to ``starts[k + 1] - 1``.

    ``starts`` has room for one more than there are pixels.
    """
    levels = heat[row]
    runs = 0
    for x in range(levels.shape[0]):
        if x == 0 or levels[x] != levels[x - 1]:
            starts[runs] = x
            runs += 1
    starts[runs] = levels.shape[0]
    return runs


@kernel
def _look_up(
    image: NDArray[np.uint8],
    row: int,
    start: int,
    stop: int,
    level: np.uint64,
    lookup: NDArray[np.uint32],
    lines: NDArray[np.uint8],
    current: int,
) -> None:
    pixels, out = image[row, start:stop], lines[current, 3 * start : 3 * stop]
    for x in range(pixels.shape[0]):
        colour = lookup[level << np.uint64(8) | np.uint64(pixels[x])]
        out[3 * x] = np.uint8(colour)
        out[3 * x + 1] = np.uint8(colour >> np.uint32(8))
        out[3 * x + 2] = np.uint8(colour >> np.uint32(16))


@kernel
def _mix(
    image: NDArray[np.uint8],
    row: int,
    start: int,
    stop: int,
    level: np.uint64,
    steps: NDArray[np.uint16],
    lines: NDArray[np.uint8],
    current: int,
) -> None:
    pixels, out = image[row, start:stop], lines[current, 3 * start : 3 * stop]
    weight, red, green, blue = steps[level, 1], steps[level, 2], steps[level, 3], steps[level, 4]
    for x in range(pixels.shape[0]):
        grey = np.uint16(np.uint16(pixels[x]) * weight)
        out[3 * x] = np.uint8(np.uint16(grey + red) >> np.uint16(8))
        out[3 * x + 1] = np.uint8(np.uint16(grey + green) >> np.uint16(8))
        out[3 * x + 2] = np.uint8(np.uint16(grey + blue) >> np.uint16(8))


@kernel
def blend_runs(
    image: NDArray[np.uint8],
    image_row: int,
    heat: NDArray[np.uint8],
    heat_row: int,
    starts: NDArray[np.int32],
    runs: int,
    lookup: NDArray[np.uint32],
    steps: NDArray[np.uint16],
    lines: NDArray[np.uint8],
    current: int,
) -> None:
    """What ``blend.blend_row`` does for one channel, run by run."""
    for k in range(runs):
        start, stop = starts[k], starts[k + 1]
        level = np.uint64(heat[heat_row, start])
        if stop - start < SHORTEST or steps[level, 0] == 0:
            _look_up(image, image_row, start, stop, level, lookup, lines, current)
        else:
            _mix(image, image_row, start, stop, level, steps, lines, current)
