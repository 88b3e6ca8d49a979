"""One door to every kind of volume: the reader that a path needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastcam.errors import CaseError
from fastcam.options import Axes
from fastcam.read.volumes.arrays import array_shape, read_array
from fastcam.read.volumes.dicom import dicom_shape, read_dicom, read_headers
from fastcam.read.volumes.itk import itk_shape, read_itk
from fastcam.read.volumes.nifti import nifti_shape, read_nifti
from fastcam.read.volumes.pictures import pictures_shape, read_pictures
from fastcam.read.volumes.sources import ITK_SUFFIXES, VOLUME_SUFFIXES, is_picture, slice_files
from fastcam.read.volumes.voxels import Volume


def open_volume(path: Path, axes: Axes = "zyx", labels: bool = False) -> Volume:
    """Decode a case's file or folder; CaseError where it can't be.

    ``axes`` is the order of a NumPy file's array, ``xyz`` being nibabel's. NIfTI voxels are always
    the transpose of nibabel's array, whatever order the boxes were made on. ``labels``: the voxels
    are a mask, not grey levels.
    """
    kind = _kind(path)
    try:
        if kind == "nifti":
            return read_nifti(path)
        if kind == "array":
            return read_array(path, axes)
        if kind == "itk":
            return read_itk(path)
        files = slice_files(path) if kind == "folder" else [path]
        return read_pictures(files, labels) if is_picture(files[0]) else read_dicom(files)
    except MemoryError as error:
        raise CaseError(f"{path}: is too large for the memory of this machine") from error


def volume_shape(path: Path, axes: Axes = "zyx") -> tuple[int, int, int]:
    """(z, y, x) from headers and the number of files, without decoding."""
    kind = _kind(path)
    if kind == "nifti":
        return nifti_shape(path)
    if kind == "array":
        return array_shape(path, axes)
    if kind == "itk":
        return itk_shape(path)
    files = slice_files(path) if kind == "folder" else [path]
    return pictures_shape(files) if is_picture(files[0]) else dicom_shape(files)


def dicom_headers(path: Path) -> list[Any]:
    """The headers of a case's DICOM series in the order of its slices, without pixels: pydicom's.

    CaseError where it is no DICOM.
    """
    kind = _kind(path)
    files = slice_files(path) if kind == "folder" else [path]
    if kind not in ("folder", "slices") or is_picture(files[0]):
        raise CaseError(f"{path}: is no DICOM series, so its maps become NIfTI only")
    return read_headers(files)


def _kind(path: Path) -> str:
    if path.is_dir():
        return "folder"
    name = path.name
    if name.endswith((".nii", ".nii.gz")):
        return "nifti"
    if path.suffix in (".npy", ".npz"):
        return "array"
    if path.suffix in ITK_SUFFIXES:
        return "itk"
    if is_picture(path) or path.suffix == ".dcm":
        return "slices"
    raise CaseError(f"{path}: is of no kind known here; use {', '.join(VOLUME_SUFFIXES)}")
