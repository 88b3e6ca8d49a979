"""Opening any kind of volume, by the reader that its path needs."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastcam.errors import CaseError
from fastcam.read.axis_order import Axes
from fastcam.read.constant_images import constant_warning
from fastcam.read.regular_files import check_regular_case
from fastcam.read.volumes.arrays import array_shape, read_array
from fastcam.read.volumes.dicom import dicom_grid, dicom_shape, read_dicom, read_headers
from fastcam.read.volumes.dicom_series import open_series
from fastcam.read.volumes.geometry import Grid
from fastcam.read.volumes.itk import itk_grid, itk_shape, read_itk
from fastcam.read.volumes.nifti import nifti_grid, nifti_header, nifti_shape, read_nifti
from fastcam.read.volumes.pictures import pictures_shape, read_pictures
from fastcam.read.volumes.sources import ITK_SUFFIXES, VOLUME_SUFFIXES, is_picture, slice_files
from fastcam.read.volumes.voxels import Volume


def open_volume(
    path: Path,
    axes: Axes = "zyx",
    labels: bool = False,
    volume: str | None = None,
    voi: bool = True,
) -> Volume:
    """Decode a case's file or folder; CaseError where it can't be.

    ``volume`` chooses one of several, of a DICOM series by number from 1 or by name, of a 4-D NIfTI
    file by number. ``voi``: DICOM voxels are as its VOI LUT shows them, where it has one. ``axes``
    is the order of a NumPy file's array, ``xyz`` being nibabel's. NIfTI voxels are always
    the transpose of nibabel's array, whatever order the boxes were made on. ``labels``: the voxels
    are a mask, not grey levels.
    """
    opened = _read(path, axes, labels, volume, voi)
    if labels:
        return opened
    return replace(opened, warnings=(*opened.warnings, *constant_warning(path, opened.voxels)))


def _read(path: Path, axes: Axes, labels: bool, volume: str | None, voi: bool) -> Volume:
    """What the reader of the path's kind gives."""
    kind = _kind(path)
    try:
        if kind == "nifti":
            return read_nifti(path, volume)
        files = slice_files(path) if kind == "folder" else [path]
        if kind in ("folder", "slices") and not is_picture(files[0]):
            return read_dicom(files, volume, voi)
        _check_only(path, volume)
        if kind == "array":
            return read_array(path, axes)
        return read_itk(path) if kind == "itk" else read_pictures(files, labels)
    except MemoryError as error:
        raise CaseError(f"{path}: is too large for the memory of this machine") from error


def volume_shape(path: Path, axes: Axes = "zyx", volume: str | None = None) -> tuple[int, int, int]:
    """(z, y, x) from headers and the number of files, without decoding."""
    kind = _kind(path)
    if kind == "nifti":
        return nifti_shape(path, volume)
    files = slice_files(path) if kind == "folder" else [path]
    if kind in ("folder", "slices") and not is_picture(files[0]):
        return dicom_shape(files, volume)
    _check_only(path, volume)
    if kind == "array":
        return array_shape(path, axes)
    return itk_shape(path) if kind == "itk" else pictures_shape(files)


def volume_grid(path: Path, axes: Axes = "zyx", volume: str | None = None) -> Grid:
    """Where a case's voxels lie, without decoding."""
    kind = _kind(path)
    if kind == "nifti":
        return nifti_grid(path, volume)
    if kind == "itk":
        _check_only(path, volume)
        return itk_grid(path)
    files = slice_files(path) if kind == "folder" else [path]
    if kind == "array" or is_picture(files[0]):
        return Grid(volume_shape(path, axes, volume))
    return dicom_grid(files, volume)


def uneven_slices(path: Path, volume: str | None = None) -> str:
    """How the distances of a DICOM series' slices differ, from its headers; empty where they don't,
    for other files, and where it can't be read or isn't there any more."""
    with contextlib.suppress(CaseError, OSError):
        files = slice_files(path) if path.is_dir() else [path]
        if path.exists() and _kind(path) in ("folder", "slices") and not is_picture(files[0]):
            return dicom_grid(files, volume).uneven
    return ""


def volume_warnings(path: Path, volume: str | None = None) -> tuple[str, ...]:
    """What a reader of the volume should know, from its headers alone; nothing where it can't be
    read or isn't there any more."""
    with contextlib.suppress(CaseError, OSError):
        kind = _kind(path)
        if kind == "nifti":
            return nifti_header(path).warnings
        files = slice_files(path) if kind == "folder" else [path]
        if kind in ("folder", "slices") and not is_picture(files[0]):
            return open_series(files).choose(volume).warnings
    return ()


def dicom_headers(path: Path, volume: str | None = None) -> list[Any]:
    """The headers of a case's DICOM series in the order of its slices, without pixels: pydicom's.

    ``volume`` as for :func:`open_volume`. CaseError where it is no DICOM.
    """
    kind = _kind(path)
    files = slice_files(path) if kind == "folder" else [path]
    if kind not in ("folder", "slices") or is_picture(files[0]):
        raise CaseError(f"{path}: is not a DICOM series, so its maps become NIfTI only")
    return read_headers(files, volume)


def _check_only(path: Path, volume: str | None) -> None:
    """CaseError where another than the only volume of a file or folder was chosen."""
    if volume not in (None, "1"):
        raise CaseError(
            f"{path}: --volume {volume}: it holds one volume; the option is for DICOM series and"
            " 4-D NIfTI"
        )


def _kind(path: Path) -> str:
    if path.is_dir():
        return "folder"
    check_regular_case(path)
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
