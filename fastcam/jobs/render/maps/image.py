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
from fastcam.read.inputs.preprocess import field_of
from fastcam.read.volumes import masks, orientation, volumes
from fastcam.store.map_schema import MapHeader


@dataclass(frozen=True, eq=False)
class FlatImage:
    """An image that is one picture. ``size`` (h, w) as shown."""

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
    """A volume to be cut; ``display`` turns a slice (y, x) into what is shown."""

    volume: volumes.Volume
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
        how = (turning.transpose, turning.flip_rows, turning.flip_columns)
        grey = turned_grey(self.volume.voxels[index], self.volume.window, how)
        mask = None if self.mask is None else turned_mask(self.mask.slice(index), how)
        return MapPicture(grey[:, :, np.newaxis], mask, left_side=self.left_side)


OpenImage = FlatImage | VolumeImage


def open_image(
    header: MapHeader, mask: str | None, missing: str, preprocessing: Mapping[str, Any]
) -> FlatImage:
    """An image and its mask, cut to the field that the model saw; ``missing`` is why there is no
    mask, if one was wanted.

    CaseError where the image can't be read or isn't the one that was run; a mask that can't be
    read is a warning.
    """
    image = read_image(_there(header.source))
    height, width = image.shape[:2]
    _same((1, height, width), header)
    found, warning = _mask(mask, missing, (1, height, width), "zyx")
    inside = None if found is None else found.slice(0)
    if image.dtype != np.uint8:
        image = np.rint(image).astype(np.uint8)
    rows, columns = field_of(height, width, preprocessing)
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
    volume = volumes.open_volume(_there(header.source), sources.axes)
    _same(volume.voxels.shape, header)
    found, warning = _mask(mask, missing, volume.voxels.shape, sources.axes)
    shown = orientation.IDENTITY
    if sources.orient == "radiological":
        shown = orientation.for_display(volume.affine)
    return VolumeImage(volume, found, shown, orientation.left_side(volume.affine, shown), warning)


def _there(path: Path) -> Path:
    if not path.exists():
        raise CaseError(f"{path}: is not there; give --root-dir, the folder of the images now")
    return path


def _same(shape: tuple[int, ...], header: MapHeader) -> None:
    if any(header.shape) and tuple(shape) != tuple(header.shape):
        raise CaseError(
            f"{header.source}: has shape {tuple(shape)} (z, y, x), but had {header.shape} when the "
            "model saw it; give --root-dir, the folder of the same images"
        )


def _mask(
    mask: str | None, missing: str, shape: tuple[int, ...], axes: Axes
) -> tuple[masks.Mask | None, str]:
    if mask is None:
        return None, missing
    depth, height, width = shape
    try:
        return masks.open_mask(Path(mask), (depth, height, width), axes), ""
    except CaseError as error:
        return None, str(error)
