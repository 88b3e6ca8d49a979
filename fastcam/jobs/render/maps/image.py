"""The pictures that maps are drawn over: an image in colour, or a volume slice by slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fastcam_kernels.turn import turned_grey, turned_mask

from fastcam.errors import CaseError
from fastcam.figures.map_sheets import MapPicture
from fastcam.options import Axes, Sources
from fastcam.read.inputs.images import read_image
from fastcam.read.inputs.preprocessing import input_slices
from fastcam.read.volumes import masks, orientation, volumes
from fastcam.read.volumes.voxels import Volume
from fastcam.store.map_schema import MapHeader


@dataclass(frozen=True, eq=False)
class FlatImage:
    """An image that is one picture.

    Attributes:
        picture: the image and its mask.
        warning: why there is no mask, if one was wanted.
        display: how the picture is turned: not at all.
    """

    picture: MapPicture
    warning: str = ""
    display: orientation.Orientation = orientation.IDENTITY

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) as shown."""
        height, width, _ = self.picture.image.shape
        return height, width

    def cut(self, index: int) -> MapPicture:
        """The picture, whatever the index."""
        return self.picture


@dataclass(frozen=True, eq=False)
class VolumeImage:
    """A volume to be cut.

    Attributes:
        volume: the voxels and their window.
        mask: which voxels lie inside; None for none.
        display: from a slice (y, x) to what is shown.
        left_side: the letter of the patient's side at the left edge, where it is known.
        warning: why there is no mask, if one was wanted.
    """

    volume: Volume
    mask: masks.Mask | None
    display: orientation.Orientation
    left_side: str
    warning: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of a slice as shown."""
        _, height, width = self.volume.voxels.shape
        return self.display.size(height, width)

    def cut(self, index: int) -> MapPicture:
        """Slice ``index`` in the volume's own order, grey, turned for display."""
        turning = self.display
        flips = (turning.transpose, turning.flip_rows, turning.flip_columns)
        grey = turned_grey(self.volume.voxels[index], self.volume.window, flips)
        mask = None if self.mask is None else turned_mask(self.mask.slice(index), flips)
        return MapPicture(grey[:, :, np.newaxis], mask, left_side=self.left_side)


OpenImage = FlatImage | VolumeImage


def open_image(
    header: MapHeader, mask: str | None, missing: str, preprocessing: Mapping[str, Any]
) -> FlatImage:
    """An image and its mask, cut to the field that the model saw.

    ``mask`` is the mask's file, ``missing`` why there is none, if one was wanted. CaseError where
    the image can't be read or isn't the one that was run; a mask that can't be read is a warning.
    """
    image = read_image(_existing(header.source))
    height, width = image.shape[:2]
    _check_shape((1, height, width), header)
    opened_mask, warning = _open_mask(mask, missing, (1, height, width), "zyx")
    inside = None if opened_mask is None else opened_mask.slice(0)
    if image.dtype != np.uint8:
        image = np.rint(image).astype(np.uint8)
    rows, columns = input_slices(height, width, preprocessing)
    note = ""
    if (rows, columns) != (slice(0, height), slice(0, width)):
        image = np.ascontiguousarray(image[rows, columns])
        inside = None if inside is None else np.ascontiguousarray(inside[rows, columns])
        note = f"the part of {width}×{height} that the model saw"
    return FlatImage(MapPicture(image, inside, note), warning)


def open_volume_image(
    header: MapHeader, mask: str | None, missing: str, sources: Sources
) -> VolumeImage:
    """A volume and its mask; errors and warnings as for :func:`open_image`."""
    volume = volumes.open_volume(_existing(header.source), sources.axes)
    _check_shape(volume.voxels.shape, header)
    opened_mask, warning = _open_mask(mask, missing, volume.voxels.shape, sources.axes)
    display = orientation.IDENTITY
    if sources.orient == "radiological":
        display = orientation.for_display(volume.affine)
    left_side = orientation.left_side(volume.affine, display)
    return VolumeImage(volume, opened_mask, display, left_side, warning)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise CaseError(f"{path}: is not there; give --root-dir, the folder of the images now")
    return path


def _check_shape(shape: tuple[int, ...], header: MapHeader) -> None:
    if any(header.shape) and tuple(shape) != tuple(header.shape):
        raise CaseError(
            f"{header.source}: has shape {tuple(shape)} (z, y, x), but had {header.shape} when the "
            "model saw it; give --root-dir, the folder of the same images"
        )


def _open_mask(
    mask: str | None, missing: str, shape: tuple[int, ...], axes: Axes
) -> tuple[masks.Mask | None, str]:
    if mask is None:
        return None, missing
    depth, height, width = shape
    try:
        return masks.open_mask(Path(mask), (depth, height, width), axes), ""
    except CaseError as error:
        return None, str(error)
