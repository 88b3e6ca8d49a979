"""Masks: which pixels of a slice count as inside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.options import Axes
from fastcam.read.volumes.volumes import open_volume
from fastcam.read.volumes.voxels import Volume


@dataclass(frozen=True)
class Mask:
    """``inside`` (z, y, x) bool, or (1, y, x) where one mask serves all slices."""

    inside: NDArray[np.bool_]

    def slice(self, index: int) -> NDArray[np.uint8]:
        """(y, x) uint8, 1 inside and 0 outside; a view."""
        bits: NDArray[np.uint8] = self.inside[index if len(self.inside) > 1 else 0].view(np.uint8)
        return bits


def open_mask(path: Path, shape: tuple[int, int, int], axes: Axes = "zyx") -> Mask:
    """The mask of a volume of ``shape`` (z, y, x); one slice serves all.

    In an 8-bit mask whose highest value is above 127, values above 127 count: those are saved as 0
    and 255, often as JPEG, whose noise must not. Elsewhere every value but 0 counts, so label maps
    (0, 1, 2, ...) may have any number of labels. CaseError where the mask has another shape.
    """
    volume = open_volume(path, axes, labels=True)
    own = volume.voxels.shape
    if own[1:] != shape[1:] or own[0] not in (1, shape[0]):
        raise CaseError(
            f"{path}: the mask has shape {own} (z, y, x), but the image {tuple(shape)};"
            " make the mask on the image's own grid"
        )
    return Mask(_inside(volume))


def _inside(volume: Volume) -> NDArray[np.bool_]:
    voxels = volume.voxels
    if voxels.dtype == np.uint8 and voxels.max() > 127:
        above: NDArray[np.bool_] = voxels > 127
        return above
    if volume.intercept != 0:
        voxels = voxels * np.float32(volume.slope) + np.float32(volume.intercept)
    inside: NDArray[np.bool_] = voxels != 0
    if voxels.dtype.kind == "f":
        inside &= ~np.isnan(voxels)
    return inside
