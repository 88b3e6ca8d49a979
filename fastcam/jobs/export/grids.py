"""Maps on the grid of their source: raw values, float32, one for each voxel or pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from fastcam_kernels import heat, resize
from fastcam_kernels.resize import slice_of
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.figures.patch_scales import by_slice
from fastcam.options import Axes
from fastcam.read.inputs.preprocessing import input_slices
from fastcam.read.results.case import Case
from fastcam.read.volumes import orientation


def volume_grid(values: NDArray[np.float32], shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """A map (d, h, w) enlarged trilinearly to ``shape`` (z, y, x): both cover the same field,
    voxel centers aligned as torch's ``align_corners=False``."""
    depth, height, width = shape
    grid = np.empty(shape, np.float32)
    for z in range(depth):
        layer = np.ascontiguousarray(slice_of(values, z, depth), np.float32)
        grid[z] = resize.resize(layer, height, width, resize.BILINEAR)
    return grid


def image_grid(
    values: NDArray[np.float32], height: int, width: int, preprocessing: Mapping[str, Any]
) -> NDArray[np.float32]:
    """A map (h, w) enlarged bilinearly to the image's (height, width), NaN outside of what the
    model saw of it."""
    rows, columns = input_slices(height, width, preprocessing)
    grid = np.full((height, width), np.nan, np.float32)
    size = rows.stop - rows.start, columns.stop - columns.start
    grid[rows, columns] = resize.resize(values, *size, resize.BILINEAR)
    return grid


def slice_grid(
    values: NDArray[np.float32],
    slices: NDArray[np.integer[Any]],
    shape: tuple[int, int, int],
    preprocessing: Mapping[str, Any],
) -> NDArray[np.float32]:
    """The maps (m, h, w) of the ``slices`` (m,) of a volume of ``shape`` (z, y, x), each enlarged
    bilinearly; NaN on the other slices, and outside of what the model saw of them."""
    grid = np.full(shape, np.nan, np.float32)
    for layer, z in zip(values, slices, strict=True):
        grid[z] = image_grid(layer, shape[1], shape[2], preprocessing)
    return grid


def patch_grid(
    case: Case, shape: tuple[int, int, int], first: int, axes: Axes
) -> NDArray[np.float32]:
    """Heat of a case's patches on the volume of ``shape`` (z, y, x): weight summed into its box,
    divided by the number of boxes over a voxel, 0 where there is none.

    ``first`` is the slice that ``slice_idx`` 0 means. CaseError where patches lie past the volume.
    """
    frame = orientation.for_frame(axes)
    height, width = frame.size(*shape[1:])
    grid = np.zeros(shape, np.float32)
    for index, boxes, weights in by_slice(case):
        if first + index >= shape[0]:
            raise CaseError(f"slice_idx {index} is past the {shape[0]} slices; check --slices")
        picture = heat.patch_heat(boxes, weights, height, width)
        grid[first + index] = frame.inverse.apply(picture)
    return grid
