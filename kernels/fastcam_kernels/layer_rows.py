"""The layers below the outlines as rows of a panel: sampled where their size isn't the panel's.

Each comes to the kernel as a plain tuple of arrays (see ``text``) and is grouped there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._jit import borrowing_kernel, kernel
from fastcam_kernels.blend import Blend, heat_levels
from fastcam_kernels.filtered_rows import same_bytes, same_row
from fastcam_kernels.resize import NEAREST, Sampler, nearest_row, sample_row, sampler

ImageArrays = tuple[NDArray[np.uint8], int, int]
HeatArrays = tuple[
    NDArray[np.float32],
    NDArray[np.uint8],
    np.float32,
    np.float32,
    NDArray[np.uint32],
    NDArray[np.uint16],
    int,
]
TintArrays = tuple[NDArray[np.uint8], NDArray[np.uint8], np.float32]


class ImageRows(NamedTuple):
    """The image as rows of the panel."""

    source: NDArray[np.uint8]
    channels: int
    """0 where there is no image."""
    resampled: bool
    samples: Sampler
    sums: NDArray[np.float32]
    """(width * channels,) float32, a row before it is rounded."""


@kernel
def image_rows(arrays: ImageArrays, width: int, height: int) -> ImageRows:
    """The image for a panel of ``width`` x ``height`` pixels."""
    source, channels, method = arrays
    columns = source.shape[1] // channels
    resampled = source.shape[0] > 0 and (source.shape[0] != height or columns != width)
    size = (height, width) if resampled else (0, 0)
    samples = sampler((source.shape[0], columns), size, channels, method)
    sums = np.empty(width * channels, np.float32)
    return ImageRows(source, channels if source.shape[0] > 0 else 0, resampled, samples, sums)


class HeatRows(NamedTuple):
    """The heat as rows of the panel."""

    values: NDArray[np.float32]
    """(h, w) float32; (0, 0) where there are levels, or no heat."""
    levels: NDArray[np.uint8]
    """(h, w) uint8; (0, 0) where there are values, or no heat."""
    low: np.float32
    factor: np.float32
    resampled: bool
    samples: Sampler
    sums: NDArray[np.float32]
    """(width,) float32, a row before it becomes levels."""


@kernel
def heat_rows(arrays: HeatArrays, width: int, height: int) -> HeatRows:
    """The heat for a panel of ``width`` x ``height`` pixels."""
    values, levels, low, factor, _, _, method = arrays
    has_levels = levels.shape[0] > 0
    rows, columns = levels.shape if has_levels else values.shape
    resampled = rows > 0 and (rows != height or columns != width)
    size = (height, width) if resampled else (0, 0)
    samples = sampler((rows, columns), size, 1, NEAREST if has_levels else method)
    return HeatRows(values, levels, low, factor, resampled, samples, np.empty(width, np.float32))


@kernel
def repeated_levels(heat: HeatRows, height: int) -> NDArray[np.bool_]:
    """(height,) which rows have the levels of the row above.

    Patch heat changes at the edges of boxes only, so most rows are like that.
    """
    repeats = np.zeros(height, np.bool_)
    levels, values, index_y = heat.levels, heat.values, heat.samples.index_y
    if levels.shape[0] > 0 and heat.resampled:
        for row in range(1, height):
            repeats[row] = index_y[row, 0] == index_y[row - 1, 0]
    elif levels.shape[0] > 0:
        for row in range(1, height):
            repeats[row] = same_bytes(levels, row)
    elif values.shape[0] > 0 and not heat.resampled:
        for row in range(1, height):
            repeats[row] = same_row(values, row)
    return repeats


@borrowing_kernel
def sample_levels(heat: HeatRows, row: int, levels: NDArray[np.uint8]) -> None:
    """Levels of a row, where they aren't the heat itself, into ``levels[0]``."""
    if heat.levels.shape[0] > 0:
        nearest_row(heat.levels, heat.samples, row, levels)
    elif heat.resampled:
        sample_row(heat.values, 1, heat.samples, row, heat.sums)
        heat_levels(heat.sums, heat.low, heat.factor, levels[0])
    elif heat.values.shape[0] > 0:
        heat_levels(heat.values[row], heat.low, heat.factor, levels[0])


class TintRows(NamedTuple):
    """The tint as rows of the panel."""

    mask: NDArray[np.uint8]
    color: NDArray[np.uint8]
    alpha: np.float32
    resampled: bool
    samples: Sampler
    inside: NDArray[np.uint8]
    """(1, width) uint8, a row of the mask; or the mask itself."""


@kernel
def tint_rows(arrays: TintArrays, width: int, height: int) -> TintRows:
    """The tint for a panel of ``width`` x ``height`` pixels."""
    mask, color, alpha = arrays
    rows, columns = mask.shape
    resampled = rows > 0 and (rows != height or columns != width)
    samples = sampler((rows, columns), (height, width) if resampled else (0, 0), 1, NEAREST)
    inside = np.empty((1, width), np.uint8) if resampled else mask
    return TintRows(mask, color, alpha, resampled, samples, inside)


@borrowing_kernel
def sample_tint(tint: TintRows, row: int) -> None:
    """A row of the mask into ``tint.inside``."""
    index_y = tint.samples.index_y
    if row == 0 or index_y[row, 0] != index_y[row - 1, 0]:
        nearest_row(tint.mask, tint.samples, row, tint.inside)


@kernel
def blend_of(
    image: ImageRows, heat: HeatRows, lookup: NDArray[np.uint32], steps: NDArray[np.uint16]
) -> Blend:
    """What is mixed: image and levels themselves, or one row of each where they are sampled."""
    width = heat.sums.shape[0]
    sampled_image = np.empty((1, image.sums.shape[0]), np.uint8)
    sampled_levels = np.empty((1, width), np.uint8)
    return Blend(
        sampled_image if image.resampled else image.source,
        image.channels,
        heat.levels if heat.levels.shape[0] > 0 and not heat.resampled else sampled_levels,
        lookup,
        steps,
        np.empty(width, np.uint32),
        np.empty(width + 1, np.int32),
        np.empty((2, 3 * width), np.uint8),
    )
