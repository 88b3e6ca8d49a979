"""The pictures that maps are drawn over: an image in color, or a volume slice by slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fastcam_kernels.turn import turned_grey, turned_mask
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.figures.map_figure import MapPicture
from fastcam.figures.slice_facts import SliceFacts
from fastcam.figures.slice_geometry import (
    NO_GEOMETRY,
    SliceGeometry,
    pixel_aspect,
    slice_geometry,
)
from fastcam.jobs.render.display import display_of, flips_of, open_mask
from fastcam.options import Orient, Sources
from fastcam.read.inputs.grey_levels import GreyLevels
from fastcam.read.inputs.images import read_image
from fastcam.read.inputs.preprocessing import (
    grey_of_settings,
    input_slices,
)
from fastcam.read.inputs.slice_images import slice_grid
from fastcam.read.volumes import masks, orientation, volumes
from fastcam.read.volumes.channels import open_channel
from fastcam.read.volumes.masks import mask_along
from fastcam.read.volumes.named_windows import window_warning
from fastcam.read.volumes.slice_axis import volume_along
from fastcam.read.volumes.voxels import Volume
from fastcam.store.map_schema import MapHeader
from fastcam.store.maps import MapStore


@dataclass(frozen=True, eq=False)
class FlatImage:
    """An image that is one picture.

    Attributes:
        picture: the image and its mask, as shown.
        warnings: what is odd about the mask, and why there is none, if one was wanted.
        display: how the picture was turned: not at all, unless a DICOM or NIfTI file says how it
            lies.
        affine: (4, 4), from pixel (x, y, 0, 1) to RAS millimetres; None where no file says.
    """

    picture: MapPicture
    warnings: tuple[str, ...] = ()
    display: orientation.Orientation = orientation.IDENTITY
    affine: NDArray[np.float64] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) as shown."""
        height, width, _ = self.picture.image.shape
        return height, width

    @property
    def pixel_aspect(self) -> float:
        """The height of a pixel as shown over its width, in mm."""
        return self.picture.facts.pixel_aspect

    def cut(self, index: int) -> MapPicture:
        """The picture, whatever the index."""
        return self.picture


@dataclass(frozen=True, eq=False)
class VolumeImage:
    """A volume to be cut.

    Attributes:
        volume: the voxels and their window.
        mask: which voxels lie inside; None for none.
        window: (low, high), the voxels that are shown black and white.
        field: rows and columns of a slice that the model saw.
        display: from a slice (y, x) to what is shown.
        left_side: the letter of the patient's side at the left edge, where it is known.
        warnings: what is odd about the volume and its mask, and why there is none, if one was
            wanted.
        geometry: what is known of its slices.
    """

    volume: Volume
    mask: masks.Mask | None
    window: tuple[float, float]
    field: tuple[slice, slice]
    display: orientation.Orientation
    left_side: str
    warnings: tuple[str, ...] = ()
    geometry: SliceGeometry = NO_GEOMETRY

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of a slice as shown."""
        rows, columns = self.field
        return self.display.size(rows.stop - rows.start, columns.stop - columns.start)

    @property
    def pixel_aspect(self) -> float:
        """The height of a pixel as shown over its width, in mm."""
        return self.geometry.facts.pixel_aspect

    def cut(self, index: int) -> MapPicture:
        """Slice ``index`` in the volume's own order, grey, turned for display."""
        flips = flips_of(self.display)
        voxels = np.ascontiguousarray(self.volume.voxels[index][self.field])
        grey = turned_grey(voxels, self.window, flips)
        mask = None
        if self.mask is not None:
            mask = turned_mask(np.ascontiguousarray(self.mask.slice(index)[self.field]), flips)
        _, height, width = self.volume.voxels.shape
        note = _field_note(height, width, self.field)
        return MapPicture(
            grey[:, :, np.newaxis],
            mask,
            note,
            left_side=self.left_side,
            facts=self.geometry.of(index, index),
        )


OpenImage = FlatImage | VolumeImage


def open_image(
    header: MapHeader,
    mask: str | None,
    missing: str,
    preprocessing: Mapping[str, Any],
    orient: Orient = "array",
) -> FlatImage:
    """An image and its mask, cut to the field that the model saw, in the grey levels that it got.

    ``orient``: whether a DICOM or NIfTI slice is turned by its affine, or shown as it lies.
    ``mask`` is the mask's file, ``missing`` why there is none, if one was wanted. CaseError where
    the image can't be read or isn't the one that was run; a mask that can't be read is a warning.
    """
    image = read_image(_existing(header.source), grey_of_settings(preprocessing))
    height, width = image.shape[:2]
    _check_shape((1, height, width), header)
    grid = slice_grid(header.source, (1, height, width))
    opened_mask, warnings = open_mask(mask, missing, grid, "zyx")
    inside = None if opened_mask is None else opened_mask.slice(0)
    if image.dtype != np.uint8:
        image = np.rint(image).astype(np.uint8)
    rows, columns = input_slices(height, width, preprocessing)
    note = _field_note(height, width, (rows, columns))
    if note:
        image = np.ascontiguousarray(image[rows, columns])
        inside = None if inside is None else np.ascontiguousarray(inside[rows, columns])
    display = display_of(grid.affine, orient)
    facts = SliceFacts(pixel_aspect=pixel_aspect(grid.affine, display.orientation))
    if orient == "array" or grid.affine is None:
        flat = MapPicture(image, inside, note, facts=facts)
        return FlatImage(flat, warnings, affine=grid.affine)
    turn = display.orientation.apply
    picture = MapPicture(
        np.ascontiguousarray(turn(image)),
        None if inside is None else np.ascontiguousarray(turn(inside)),
        note,
        left_side=display.left_side,
        facts=facts,
    )
    return FlatImage(picture, warnings, display.orientation, grid.affine)


@dataclass(frozen=True)
class SliceView:
    """How a 2-D model saw the slices of a volume.

    Attributes:
        axis: the axis of the file's (z, y, x) that they are stacked along.
        preprocessing: the fields of a ``Preprocessing``.
    """

    axis: int
    preprocessing: Mapping[str, Any]

    @classmethod
    def of(cls, store: MapStore, index: int) -> SliceView | None:
        """That of volume ``index`` of a store; None where the model saw the whole volume."""
        if store.table is None:
            return None
        return cls(store.axis(index), store.attrs.preprocessing)


def open_volume_image(
    header: MapHeader,
    mask: str | None,
    missing: str,
    sources: Sources,
    preprocessing: Mapping[str, Any],
    view: SliceView | None = None,
) -> VolumeImage:
    """A volume and its mask; errors and warnings as for :func:`open_image`.

    Of several channels the one that is to be shown, in the grey levels that the model got. With a
    ``view`` volume and mask are cut along its axis.
    """
    grey = grey_of_settings(preprocessing)
    source, own = _existing(header.source), not (grey.settings or sources.window)
    if preprocessing.get("channels", 1) > 1 and sources.volume is None:
        volume = open_channel(source, sources.show_channel or 1, sources.axes, voi=own)
    else:
        volume = volumes.open_volume(source, sources.axes, volume=sources.volume, voi=own)
    if sources.window is not None:
        grey = GreyLevels(window_level=sources.window)
    window = grey.window(volume)
    opened_mask, warnings = open_mask(mask, missing, volume.grid, sources.axes)
    if view is not None and view.axis:
        opened_mask = opened_mask and mask_along(opened_mask, volume.grid.shape, view.axis)
        volume = volume_along(volume, view.axis)
    _check_shape(volume.voxels.shape, header)
    _, height, width = volume.voxels.shape
    field = slice(0, height), slice(0, width)
    if view is not None:
        field = input_slices(height, width, view.preprocessing)
    display = display_of(volume.affine, sources.orient)
    return VolumeImage(
        volume,
        opened_mask,
        window,
        field,
        display.orientation,
        display.left_side,
        (*volume.warnings, *window_warning(sources.window, volume.modality, source), *warnings),
        slice_geometry(volume, display.orientation, window, len(volume.voxels)),
    )


def _field_note(height: int, width: int, field: tuple[slice, slice]) -> str:
    if field == (slice(0, height), slice(0, width)):
        return ""
    return f"the part of {width}×{height} that the model saw"


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
