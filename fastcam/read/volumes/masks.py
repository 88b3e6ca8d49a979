"""Masks: which voxels of an image count as inside, brought onto the image's own grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.read.axis_order import Axes
from fastcam.read.volumes.geometry import (
    Affine,
    Grid,
    NoOverlapError,
    Shape,
    onto_grid,
    same_grid,
)
from fastcam.read.volumes.slice_axis import slices_first
from fastcam.read.volumes.volumes import open_volume
from fastcam.read.volumes.voxels import Volume


@dataclass(frozen=True)
class Mask:
    """``inside`` (z, y, x) bool on the image's grid, or (1, y, x) where one mask serves all slices.

    ``warnings``: what a reader of the mask should know, a line each that names the file.
    """

    inside: NDArray[np.bool_]
    warnings: tuple[str, ...] = ()

    def slice(self, index: int) -> NDArray[np.uint8]:
        """(y, x) uint8, 1 inside and 0 outside; a view."""
        bits: NDArray[np.uint8] = self.inside[index if len(self.inside) > 1 else 0].view(np.uint8)
        return bits


def open_mask(path: Path, grid: Grid, axes: Axes = "zyx") -> Mask:
    """The mask of an image whose voxels lie on ``grid``.

    Where both have an affine, a voxel's place in space decides: another order or direction of the
    axes and whole voxels are exact, of other grids the nearest voxel is taken, with a warning.
    Where one has none, the mask is taken as it lies, with a warning where the other has one; a
    mask of one slice then serves all.

    In an 8-bit mask whose highest value is above 127, values above 127 count: those are saved as 0
    and 255, often as JPEG, whose noise must not. Elsewhere every value but 0 counts, so label maps
    (0, 1, 2, ...) may have any number of labels. CaseError where the mask can't be read, lies
    elsewhere or has another shape without saying where it lies, and where the slices of one of the
    two are uneven and their grids differ.
    """
    volume = open_volume(path, axes, labels=True, voi=False)
    voxels, notes = _on_image(path, _inside(volume).view(np.uint8), volume.grid, grid)
    inside: NDArray[np.bool_] = voxels.view(np.bool_)
    if _holds_fractions(volume):
        notes.append(
            "holds numbers between 0 and 1, as probabilities are: all above 0 count as inside; save"
            " it with a threshold where that isn't meant"
        )
    return Mask(inside, (*volume.warnings, *(f"{path}: the mask {note}" for note in notes)))


@dataclass(frozen=True)
class LabelMap:
    """``labels`` (z, y, x) int32, the class of every voxel on the image's grid, or (1, y, x) where
    one map serves all slices.

    ``warnings``: what a reader of the map should know, a line each that names the file.
    """

    labels: NDArray[np.int32]
    warnings: tuple[str, ...] = ()


def open_label_map(path: Path, grid: Grid, classes: int, axes: Axes = "zyx") -> LabelMap:
    """The true class, 0 to ``classes`` - 1, of every voxel of an image that lies on ``grid``.

    Found on the grid as by :func:`open_mask`; voxels that the map doesn't reach are class 0. Of two
    classes a picture in black and white, 8-bit with values above 127, is class 1 above 127.
    CaseError as there, and for values that are no such class.
    """
    volume = open_volume(path, axes, labels=True, voi=False)
    voxels = volume.voxels
    if classes == 2 and voxels.dtype == np.uint8 and voxels.max(initial=0) > 127:
        labels = _inside(volume).astype(np.int32)
    else:
        values = voxels.astype(np.float64) * volume.slope + volume.intercept
        wrong = values[~((values >= 0) & (values < classes) & (values == np.rint(values)))]
        if wrong.size:
            raise CaseError(
                f"{path}: the mask has the value {wrong[0]:g}, and the model has {classes} classes,"
                f" 0 to {classes - 1}: save the number of each pixel's class"
            )
        labels = values.astype(np.int32)
    labels, notes = _on_image(path, labels, volume.grid, grid)
    return LabelMap(labels, (*volume.warnings, *(f"{path}: the mask {note}" for note in notes)))


def mask_along(mask: Mask, shape: Shape, axis: int) -> Mask:
    """The mask of a volume of ``shape`` (z, y, x) cut along ``axis``, as the volume is by
    :func:`fastcam.read.volumes.slice_axis.volume_along`."""
    if axis == 0:
        return mask
    inside = np.broadcast_to(mask.inside, shape).transpose(slices_first(axis))
    return Mask(inside, mask.warnings)


def _on_image(
    path: Path, voxels: NDArray[Any], own: Grid, grid: Grid
) -> tuple[NDArray[Any], list[str]]:
    """(a mask's voxels on its image's grid, what is to be said of it). CaseError where it can't."""
    try:
        return _matched(voxels, own, grid)
    except NoOverlapError as error:
        alike = ", or save it with the image's affine" if own.shape == grid.shape else ""
        raise CaseError(
            f"{path}: the mask lies elsewhere than its image: {error};"
            f" take the mask of this image{alike}"
        ) from error
    except ValueError as error:
        raise CaseError(f"{path}: {error}") from error


def _matched(voxels: NDArray[Any], own: Grid, grid: Grid) -> tuple[NDArray[Any], list[str]]:
    """(the mask on the image's grid, what is to be said of it). ValueError where it can't be."""
    if own.placed is None or grid.placed is None:
        return _by_shape(voxels, own, grid)
    both = (("the image", grid), ("the mask", own))
    uneven = [(name, side.uneven) for name, side in both if side.uneven]
    if same_grid(own, grid):
        if own.uneven == grid.uneven:
            return voxels, []
        if len(uneven) == 1:
            # The voxels of the other went through a tool that knows of no gaps.
            name, unevenness = uneven[0]
            return voxels, [
                f"is laid on its image slice by slice; {name} alone says that {unevenness}"
            ]
    if uneven:
        name, unevenness = uneven[0]
        raise ValueError(
            f"the mask is not on its image's grid, and {name} can't be resampled: {unevenness};"
            " make the mask on the image's own grid"
        )
    return _by_place(voxels, own.placed, grid.shape, grid.placed)


def _by_shape(voxels: NDArray[Any], own: Grid, grid: Grid) -> tuple[NDArray[Any], list[str]]:
    if own.shape[1:] != grid.shape[1:] or own.shape[0] not in (1, grid.shape[0]):
        raise ValueError(
            f"the mask has shape {own.shape} (z, y, x), but the image {grid.shape};"
            " make the mask on the image's own grid"
        )
    if own.affine is None and grid.affine is None:
        return voxels, []
    where = "on every slice" if own.shape[0] < grid.shape[0] else "voxel on voxel"
    note = f"has {_affine_of(own)}, its image has {_affine_of(grid)}: it is laid {where} as stored"
    return voxels, [note]


def _affine_of(grid: Grid) -> str:
    if grid.affine is None:
        return "no affine"
    return "an affine" if grid.placed is not None else "an affine without three directions"


def _by_place(
    voxels: NDArray[Any], own: Affine, shape: Shape, grid: Affine
) -> tuple[NDArray[Any], list[str]]:
    on_grid = onto_grid(voxels, own, shape, grid)
    result = on_grid.voxels
    notes = [f"is not on its image's grid: {on_grid.warning}"] if on_grid.warning else []
    if len(voxels) == 1:
        reached = onto_grid(np.ones(voxels.shape, np.uint8), own, shape, grid).voxels
        slices = np.flatnonzero(reached.any(axis=(1, 2))).tolist()
        if len(slices) < shape[0]:
            notes.append(f"has one slice, which lies on {_listed(slices)} of {shape[0]} only")
    if voxels.any() and not result.any():
        notes.append("marks nothing within its image")
    return result, notes


def _listed(slices: list[int]) -> str:
    if len(slices) < 2:
        return f"slice {slices[0]}" if slices else "none"
    return f"slices {slices[0]} to {slices[-1]}"


def _holds_fractions(volume: Volume) -> bool:
    voxels = volume.voxels
    return voxels.dtype.kind == "f" and bool(((voxels > 0) & (voxels < 1)).any())


def _inside(volume: Volume) -> NDArray[np.bool_]:
    voxels = volume.voxels
    if voxels.dtype == np.uint8:
        highest = voxels.max()
        if highest > 127:
            above: NDArray[np.bool_] = voxels > 127
            return above
        if highest <= 1 and volume.intercept == 0:
            return voxels.view(np.bool_)  # no copy: 4 ms of 100 slices of 512 x 512
    if volume.intercept != 0:
        voxels = voxels * np.float32(volume.slope) + np.float32(volume.intercept)
    inside: NDArray[np.bool_] = voxels != 0
    if voxels.dtype.kind == "f":
        inside &= ~np.isnan(voxels)
    return inside
