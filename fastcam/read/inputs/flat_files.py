"""Which files are images, one slice each: pictures, DICOM files and NIfTI files of one slice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastcam.errors import CaseError
from fastcam.read.inputs.slice_images import is_nifti_name
from fastcam.read.volumes.dicom_header import plane_of, position_of
from fastcam.read.volumes.dicom_series import reading
from fastcam.read.volumes.nifti import nifti_channels
from fastcam.read.volumes.sources import DICOM_SUFFIXES, PICTURE_SUFFIXES, is_dicom
from fastcam.storage.locations import readable

IMAGE_SUFFIXES = (*PICTURE_SUFFIXES, ".webp")
_TAGS = [
    "Rows",
    "NumberOfFrames",
    "SeriesInstanceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
]


def flat_files(files: Sequence[Path]) -> list[Path]:
    """Those of a folder's files that are images, one slice each, in their order.

    DICOM files of one series that lie behind each other in space are the slices of a volume and
    left out, as are files of several slices, and NIfTI files that can't be read.
    """
    flat = {file for file in files if file.name.lower().endswith(IMAGE_SUFFIXES)}
    flat |= {file for file in files if is_nifti_name(file) and _is_flat_nifti(file)}
    flat |= set(_flat_dicom([file for file in files if file not in flat and may_be_dicom(file)]))
    return [file for file in files if file in flat]


def is_flat(path: Path) -> bool:
    """Whether a file is an image, one slice, as :func:`flat_files` tells them."""
    if path.is_dir():
        return False
    if is_nifti_name(path):
        return _is_flat_nifti(path)
    if may_be_dicom(path):
        return bool(_flat_dicom([path]))
    return path.name.lower().endswith(IMAGE_SUFFIXES)


def may_be_dicom(path: Path) -> bool:
    """Whether a file is called as DICOM files are, or has no suffix but begins as they do.

    Files called by a UID, as in ``1.2.840.10008``, have no suffix.
    """
    suffix = path.suffix.lower()
    if suffix in DICOM_SUFFIXES:
        return True
    return (not suffix or suffix[1:].isdecimal()) and path.name != "DICOMDIR" and is_dicom(path)


def stacked_files(files: Sequence[Path]) -> list[Path]:
    """Those of a folder's DICOM files, beside its images, that are slices of volumes or volumes."""
    stacked = []
    for file in files:
        try:
            if may_be_dicom(file) and is_dicom(file) and _holds_image(file):
                stacked.append(file)
        except CaseError:
            continue  # no image
    return stacked


def _holds_image(path: Path) -> bool:
    from pydicom import dcmread

    with reading(path):
        header = dcmread(
            readable(path), stop_before_pixels=True, specific_tags=["Rows"], force=True
        )
    return "Rows" in header


def _is_flat_nifti(path: Path) -> bool:
    try:
        count, grid = nifti_channels(path)
    except CaseError:
        return False
    return count == 1 and 1 in grid.shape


def _flat_dicom(files: Sequence[Path]) -> list[Path]:
    series: defaultdict[Any, list[tuple[Path, Any]]] = defaultdict(list)
    flat: list[Path] = []
    for file in files:
        try:
            uid, plane, position = _position(file)
        except CaseError:
            flat.append(file)  # its name says so: what is wrong is said where it is read
            continue
        if uid is not None:
            series[uid, plane].append((file, position))
    for (_, plane), members in series.items():
        places = {position for _, position in members}
        if plane is None or None in places or len(places) == 1:
            flat += [file for file, _ in members]
    return flat


def _position(path: Path) -> tuple[str | None, Any, Any]:
    """(series, plane, position) of a DICOM image; no series where it is no image, or of several
    frames."""
    from pydicom import dcmread

    if not is_dicom(path):
        raise CaseError(f"{path}: is not a DICOM file; copy it again or take it away")
    with reading(path):
        header = dcmread(readable(path), stop_before_pixels=True, specific_tags=_TAGS, force=True)
        if "Rows" not in header or int(header.get("NumberOfFrames") or 1) > 1:
            return None, None, None
        plane = plane_of(header, 0)
        rounded = None if plane is None else tuple(np.round(plane, 2).tolist())
        return str(header.get("SeriesInstanceUID", "")), rounded, position_of(header, 0)[0]
