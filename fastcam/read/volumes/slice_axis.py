"""A volume cut along another axis: its slices first, its affine along with them.

Axes are counted in the order (z, y, x) of the file's own array. Cutting along axis ``a`` puts that
one first and leaves the others in their order; voxels are never copied or flipped, so slices keep
the numbers that they have in the file.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.read.volumes.geometry import Affine, Grid
from fastcam.read.volumes.orientation import nearest_axes
from fastcam.read.volumes.voxels import Volume

Plane = Literal["axial", "coronal", "sagittal"]
# The RAS axis that a plane's slices are stacked along.
_NORMALS: dict[str, int] = {"sagittal": 0, "coronal": 1, "axial": 2}


def array_axis(grid: Grid, plane: Plane | None, source: Path) -> int:
    """The axis, 0 to 2 of (z, y, x), that slices of ``plane`` are stacked along.

    None: the first, the file's own slices. Of an oblique volume it is the axis nearest to the
    plane's normal. CaseError, which names ``source``, where no affine says which axis that is, and
    where the plane would cut across slices of uneven distances.
    """
    if plane is None:
        return 0
    axes = None if grid.affine is None else nearest_axes(grid.affine)
    if axes is None or not np.isfinite(axes).all():
        raise CaseError(
            f"{source}: has no affine, which --axis {plane} needs; leave --axis out to run its own "
            "slices"
        )
    axis = 2 - int(np.flatnonzero(axes[:, 0] == _NORMALS[plane])[0])
    if axis and grid.uneven:
        raise CaseError(
            f"{source}: --axis {plane} would cut across uneven slices ({grid.uneven}); leave "
            "--axis out to run its own slices"
        )
    return axis


def plane_of_slices(grid: Grid) -> Plane | None:
    """The plane of a file's own slices, of oblique ones the nearest; None without an affine."""
    axes = None if grid.affine is None else nearest_axes(grid.affine)
    if axes is None or not np.isfinite(axes).all():
        return None
    planes: dict[int, Plane] = {0: "sagittal", 1: "coronal", 2: "axial"}
    return planes[int(axes[2, 0])]


def slices_first(axis: int) -> tuple[int, int, int]:
    """The order of the axes (z, y, x) with ``axis`` in front."""
    first, second, third = (axis, *(other for other in range(3) if other != axis))
    return first, second, third


def volume_along(volume: Volume, axis: int) -> Volume:
    """``volume`` as if its file had its slices along ``axis``: a view of the voxels."""
    if axis == 0:
        return volume
    affine = volume.affine
    return replace(
        volume,
        voxels=volume.voxels.transpose(slices_first(axis)),
        affine=None if affine is None else _reordered(affine, slices_first(axis)),
    )


def grid_along(grid: Grid, axis: int) -> Grid:
    """The grid of :func:`volume_along`."""
    return _turned(grid, slices_first(axis))


def grid_back(grid: Grid, axis: int) -> Grid:
    """The file's grid, from that of :func:`volume_along`."""
    return _turned(grid, _inverse(slices_first(axis)))


def voxels_back(voxels: NDArray[Any], axis: int) -> NDArray[Any]:
    """Voxels as :func:`volume_along` has them, in the file's own order (z, y, x); a view."""
    return voxels.transpose(_inverse(slices_first(axis)))


def _turned(grid: Grid, order: tuple[int, int, int]) -> Grid:
    depth, height, width = (grid.shape[axis] for axis in order)
    affine = None if grid.affine is None else _reordered(grid.affine, order)
    return replace(grid, shape=(depth, height, width), affine=affine)


def _inverse(order: tuple[int, int, int]) -> tuple[int, int, int]:
    first, second, third = np.argsort(order).tolist()
    return first, second, third


def _reordered(affine: Affine, order: tuple[int, int, int]) -> Affine:
    """The affine of (x, y, z) for voxels whose axes (z, y, x) come in ``order``."""
    columns = [2 - axis for axis in reversed(order)]
    return np.ascontiguousarray(affine[:, [*columns, 3]])
