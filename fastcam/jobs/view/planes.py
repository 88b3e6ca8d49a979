"""The three planes of a volume: how pictures of each lie, and which voxel is at a place of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.read.volumes.geometry import Affine, Shape
from fastcam.read.volumes.orientation import (
    IDENTITY,
    TRANSPOSE,
    Orientation,
    for_display,
    left_side,
    nearest_axes,
)
from fastcam.read.volumes.slice_axis import slices_first
from fastcam.read.volumes.voxels import Volume

_NAMES = ("sagittal", "coronal", "axial")
_WITHOUT_AFFINE = ("slices", "rows", "columns")
_OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S", "": ""}

Voxel = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Plane:
    """The pictures of a volume cut along one axis.

    Attributes:
        axis: the axis of the file's (z, y, x) that the pictures are stacked along.
        name: what radiologists call it, where the affine tells.
        depth: how many pictures there are.
        height: rows of a slice before it is turned.
        width: columns of a slice before it is turned.
        display: from a slice to what is shown.
        spacing: millimetres from row to row and from column to column of what is shown, and from
            picture to picture; None where nobody knows.
        letters: the patient's side at the left, right, top and bottom edge, where it is known.
    """

    axis: int
    name: str
    depth: int
    height: int
    width: int
    display: Orientation
    spacing: tuple[float, float, float] | None
    letters: tuple[str, str, str, str]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of what is shown."""
        return self.display.size(self.height, self.width)

    def voxel(self, index: int, x: int, y: int) -> Voxel:
        """The voxel (z, y, x), in the file's order, at column ``x`` and row ``y`` of picture
        ``index`` as it is shown."""
        at = np.array([[x, y, x + 1, y + 1]], np.int64)
        column, row, _, _ = self.display.inverse.boxes(at, *self.size)[0].tolist()
        voxel = [0, 0, 0]
        for axis, number in zip(slices_first(self.axis), (index, row, column), strict=True):
            voxel[axis] = number
        return voxel[0], voxel[1], voxel[2]

    def facts(self) -> dict[str, Any]:
        """What the page needs, as plain values."""
        _, rows, columns = slices_first(self.axis)
        down, across = (columns, rows) if self.display.transpose else (rows, columns)
        height, width = self.size
        return {
            "axis": self.axis,
            "name": self.name,
            "depth": self.depth,
            "height": height,
            "width": width,
            "down": down,
            "across": across,
            "flip_rows": self.display.flip_rows,
            "flip_columns": self.display.flip_columns,
            "spacing": self.spacing,
            "letters": self.letters,
        }


def plane_of(shape: Shape, affine: Affine | None, axis: int, turned: bool) -> Plane:
    """The plane across ``axis`` of a volume of ``shape`` (z, y, x); ``turned``: shown as
    radiologists expect, by the ``affine``, which takes voxel (x, y, z, 1) to RAS millimetres."""
    order = slices_first(axis)
    depth, height, width = (shape[each] for each in order)
    own = None if affine is None or not np.isfinite(affine).all() else _reordered(affine, order)
    display = for_display(own) if turned else IDENTITY
    return Plane(
        axis=axis,
        name=_name(own, axis),
        depth=depth,
        height=height,
        width=width,
        display=display,
        spacing=spacing_of(own, display),
        letters=_letters(own, display),
    )


def position_of(
    affine: NDArray[np.float64] | None, voxel: tuple[int, int, int]
) -> tuple[float, float, float] | None:
    """RAS millimetres of a voxel (z, y, x); None without an affine."""
    if affine is None:
        return None
    z, y, x = voxel
    right, front, up = (affine @ np.array([x, y, z, 1.0]))[:3].tolist()
    return right, front, up


def raw_window(volume: Volume, window: tuple[float, float]) -> tuple[float, float]:
    """The raw voxels that are shown black and white for a ``window`` in the volume's unit."""
    low, high = ((edge - volume.intercept) / volume.slope for edge in window)
    return low, high if high != low else low + 1.0


def _reordered(affine: Affine, order: tuple[int, int, int]) -> Affine:
    """The affine of (x, y, z) for voxels whose axes (z, y, x) come in ``order``."""
    return np.ascontiguousarray(affine[:, [*(2 - axis for axis in reversed(order)), 3]])


def _name(affine: NDArray[np.float64] | None, axis: int) -> str:
    axes = nearest_axes(affine)
    if axes is None or not np.isfinite(axes).all():
        return _WITHOUT_AFFINE[axis]
    return _NAMES[int(axes[2, 0])]


def spacing_of(
    affine: NDArray[np.float64] | None, display: Orientation
) -> tuple[float, float, float] | None:
    """Millimeters from row to row and column to column of slices turned by ``display``, and from
    slice to slice; None where ``affine`` (4, 4) doesn't tell."""
    if affine is None:
        return None
    across, down, between = np.linalg.norm(affine[:3, :3], axis=0).tolist()
    if not min(across, down, between) > 0:
        return None
    return (across, down, between) if display.transpose else (down, across, between)


def _letters(affine: NDArray[np.float64] | None, display: Orientation) -> tuple[str, str, str, str]:
    if affine is None:
        return "", "", "", ""
    left = left_side(affine, display)
    top = left_side(affine, display.then(TRANSPOSE))
    return left, _OPPOSITE[left], top, _OPPOSITE[top]
