"""Single slices as images: a DICOM file of one frame, a NIfTI file of one slice.

They become what a viewer shows: grey or color, values 0 (black) to 255 (white).
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.read.inputs.grey_levels import GreyLevels, grey_picture
from fastcam.read.volumes.dicom import dicom_grid, open_image, read_dicom
from fastcam.read.volumes.dicom_series import open_series, reading
from fastcam.read.volumes.geometry import Grid, Shape
from fastcam.read.volumes.named_windows import window_name, window_warning
from fastcam.read.volumes.nifti import nifti_grid, nifti_shape, read_nifti
from fastcam.read.volumes.slice_axis import grid_along, volume_along
from fastcam.read.volumes.sources import DICOM_SUFFIXES, is_dicom, is_picture
from fastcam.read.volumes.voxels import Volume
from fastcam.storage.locations import readable

# The windows of the files themselves.
FILE_LEVELS = GreyLevels()
_NIFTI = (".nii.gz", ".nii")
_TAGS = [
    "Rows",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "SamplesPerPixel",
    "BitsStored",
]
# Of a picture whose numbers are the levels that it is shown in.
_BITS = 8


def is_nifti_name(path: Path) -> bool:
    """Whether a file is called as NIfTI files are."""
    return path.name.lower().endswith(_NIFTI)


def is_dicom_file(path: Path) -> bool:
    """Whether a file is DICOM: by its suffix, or where that says nothing by what it begins with."""
    suffix = path.suffix.lower()
    if suffix in DICOM_SUFFIXES:
        return True
    return not is_picture(path) and not is_nifti_name(path) and path.is_file() and is_dicom(path)


def read_nifti_slice(path: Path) -> Volume:
    """The slice of a NIfTI file as a volume (1, y, x), its rows and columns as they are stored.

    CaseError where it holds several slices.
    """
    shape = nifti_shape(path)
    single = [axis for axis, length in enumerate(shape) if length == 1]
    if not single:
        raise CaseError(several_slices(path, f"{shape[0]} slices"))
    return volume_along(read_nifti(path), single[0])


def slice_grid(path: Path, shape: Shape) -> Grid:
    """Where the pixels of an image of ``shape`` (1, y, x) lie: a DICOM or NIfTI file says so.

    CaseError where its header can't be read.
    """
    if is_nifti_name(path):
        grid = nifti_grid(path)
        return grid_along(grid, grid.shape.index(1)) if 1 in grid.shape else Grid(shape)
    return dicom_grid([path]) if is_dicom_file(path) else Grid(shape)


def slice_warnings(path: Path, grey: GreyLevels) -> tuple[str, ...]:
    """What a reader of an image in the window of ``grey`` should know, as its header says it;
    nothing where it can't be read."""
    with contextlib.suppress(CaseError):
        if is_dicom_file(path):
            chosen = open_series([path]).choose(None)
            modality = str(chosen.frames[0].header.get("Modality") or "")
            return (*chosen.warnings, *window_warning(grey.window_level, modality, path))
        if window_name(grey.window_level) and is_nifti_name(path):
            return window_warning(grey.window_level, read_nifti_slice(path).modality, path)
    return ()


def several_slices(path: Path, contents: str) -> str:
    """What is wrong with a file of several slices where an image is wanted."""
    return (
        f"{path}: holds {contents}, and a model of images takes one: infer, evaluate, explain "
        "and analyze run it over the slices of volumes"
    )


def nifti_picture(path: Path, grey: GreyLevels) -> NDArray[np.float32]:
    """The slice of a NIfTI file (h, w, 1), grey 0 to 255, in the window of ``grey``."""
    volume = read_nifti_slice(path)
    return grey_picture(volume.voxels[0], grey.window(volume))[:, :, None]


def dicom_picture(path: Path, grey: GreyLevels) -> NDArray[Any]:
    """The image of a DICOM file as a viewer shows it: (h, w, 1) grey or (h, w, 3) RGB, 0 to 255.

    Color and palettes are uint8. Grey of 8 bits without a window stays as it is, uint8; else it
    is float32, in the window of ``grey``: by default the file's own VOI LUT or first window, else
    percentiles. MONOCHROME1 is inverted, padding black. CaseError where it can't be read, holds
    several frames or no picture, and where ``grey`` is given and it is in color.
    """
    from pydicom import dcmread

    if not is_dicom(path):
        raise CaseError(f"{path}: is not a DICOM file; copy it again or take it away")
    with reading(path):
        header = dcmread(readable(path), stop_before_pixels=True, specific_tags=_TAGS, force=True)
        if "Rows" not in header:
            raise CaseError(f"{path}: is DICOM, but holds no picture; take it out of the images")
        frames = int(header.get("NumberOfFrames") or 1)
        if frames > 1:
            raise CaseError(several_slices(path, f"{frames} frames"))
        palette = header.get("PhotometricInterpretation") == "PALETTE COLOR"
        if palette or header.get("SamplesPerPixel", 1) > 1:
            if grey != FILE_LEVELS:
                raise CaseError(colour_has_no_window(path))
            return _colour(path, palette)
    return _grey(path, grey, int(header.get("BitsStored") or 0))[:, :, None]


def colour_has_no_window(path: Path) -> str:
    """What is wrong with a picture in color whose grey levels are to be chosen."""
    return (
        f"{path}: is in color, and --window-level and --percentiles are for gray: leave them out, "
        "or run the images in color by themselves"
    )


def _colour(path: Path, palette: bool) -> NDArray[np.uint8]:
    from pydicom.pixels.processing import apply_color_lut

    image = open_image(path)
    color, bits = image.pixel_array, int(image.BitsStored)
    if palette:
        color = apply_color_lut(color, image)
        bits = 8 * color.dtype.itemsize
    levels = color[..., :3] >> max(0, bits - 8)
    return np.ascontiguousarray(levels, np.uint8)


def _grey(path: Path, grey: GreyLevels, bits: int) -> NDArray[Any]:
    own = grey == FILE_LEVELS
    volume = read_dicom([path], voi=own)
    levels: NDArray[Any] = volume.voxels[0]
    as_stored = (volume.slope, volume.intercept) == (1.0, 0.0) and volume.file_window is None
    if own and as_stored and levels.dtype == np.uint8 and bits == _BITS:
        picture_levels: NDArray[Any] = np.invert(levels) if volume.inverted else levels
        return picture_levels
    picture = grey_picture(levels, grey.window(volume))
    if volume.padding is not None:
        picture[levels == volume.padding] = 0
    return picture
