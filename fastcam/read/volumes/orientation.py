"""Turning a slice so that it is shown as a radiologist expects, and its boxes with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.read.axis_order import Axes


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to lay down a rectangle: transpose first, then flip.

    ``flip_rows`` turns it upside down, ``flip_columns`` swaps left and right.
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, picture: NDArray[Any]) -> NDArray[Any]:
        """(h, w, ...) -> a view of it, (h, w, ...) or (w, h, ...)."""
        transposed = picture.swapaxes(0, 1) if self.transpose else picture
        return transposed[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) after turning."""
        return (width, height) if self.transpose else (height, width)

    def boxes(self, boxes: NDArray[Any], height: int, width: int) -> NDArray[Any]:
        """(n, 4) ``x1, y1, x2, y2``, ends exclusive, on a picture of ``height`` x ``width`` before
        turning -> the same boxes on the turned picture, same type."""
        x1, y1, x2, y2 = np.moveaxis(boxes, -1, 0)
        if self.transpose:
            x1, y1, x2, y2 = y1, x1, y2, x2
        height, width = self.size(height, width)
        if self.flip_columns:
            x1, x2 = width - x2, width - x1
        if self.flip_rows:
            y1, y2 = height - y2, height - y1
        return np.stack([x1, y1, x2, y2], axis=-1)

    def then(self, other: Orientation) -> Orientation:
        """The orientation that does the same as this one followed by ``other``."""
        rows, columns = self.flip_rows, self.flip_columns
        if other.transpose:
            rows, columns = columns, rows
        return Orientation(
            self.transpose != other.transpose,
            rows != other.flip_rows,
            columns != other.flip_columns,
        )

    @property
    def inverse(self) -> Orientation:
        """The orientation that undoes this one."""
        if not self.transpose:
            return self
        return Orientation(True, flip_rows=self.flip_columns, flip_columns=self.flip_rows)


IDENTITY = Orientation()
TRANSPOSE = Orientation(transpose=True)


def for_display(affine: NDArray[np.float64] | None) -> Orientation:
    """How slices ``voxels[k]``, rows y and columns x, are shown as a radiologist expects.

    ``affine`` (4, 4): voxel (x, y, z, 1) to RAS millimetres. Axial slices: anterior up, the
    patient's right on the viewer's left; coronal: superior up, right on the left; sagittal:
    superior up, anterior on the left. An oblique volume goes by the nearest axes. None, and an
    affine that has no three directions, leave the slice as it lies.
    """
    axes = nearest_axes(affine)
    if axes is None or not np.isfinite(axes).all():
        return IDENTITY
    (across, across_sign), (down, down_sign) = axes[:2]
    # In RAS all three rules are one: the lower of the two in-plane axes runs across, and on the
    # screen both run against RAS (rightwards is L or P, downwards is P or I).
    transpose = bool(across > down)
    if transpose:
        across_sign, down_sign = down_sign, across_sign
    return Orientation(transpose, flip_rows=bool(down_sign > 0), flip_columns=bool(across_sign > 0))


def left_side(affine: NDArray[np.float64] | None, display: Orientation) -> str:
    """The patient's side at the left edge of a slice ``voxels[k]`` turned by ``display``.

    One of ``R``, ``L``, ``A``, ``P``, ``S``, ``I``; empty where the affine does not tell.
    """
    axes = nearest_axes(affine)
    if axes is None:
        return ""
    axis, sign = axes[1 if display.transpose else 0]
    if not np.isfinite(axis):
        return ""
    rightwards = sign * (-1 if display.flip_columns else 1)
    low, high = (("L", "R"), ("P", "A"), ("I", "S"))[int(axis)]
    return low if rightwards > 0 else high


def nearest_axes(affine: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """(3, 2): for voxel axes x, y, z the nearest RAS axis (0 to 2) and the sign of its direction.

    NaN for an axis without a direction; None without a finite affine.
    """
    if affine is None or not np.isfinite(affine).all():
        return None
    from nibabel.orientations import io_orientation

    axes: NDArray[np.float64] = io_orientation(affine)
    return axes


def for_frame(axes: Axes) -> Orientation:
    """From ``voxels[k]`` to the picture that boxes were made on: with nibabel's order ``xyz`` that
    is ``array[:, :, k]``, whose rows are x."""
    return TRANSPOSE if axes == "xyz" else IDENTITY
