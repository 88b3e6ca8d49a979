"""Which files are images, one slice each: pictures, DICOM files and NIfTI files of one slice."""

from __future__ import annotations

import itertools
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
from fastcam.storage.object_starts import by_starts, header_of

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
    nifti = [file for file in files if is_nifti_name(file)]
    flat |= set(itertools.compress(nifti, by_starts(_is_flat_nifti, nifti)))
    others = [file for file in files if file not in flat]
    flat |= set(_flat_dicom(list(itertools.compress(others, by_starts(may_be_dicom, others)))))
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
    return list(itertools.compress(files, by_starts(_is_stacked, files)))


def _is_stacked(path: Path) -> bool:
    try:
        return may_be_dicom(path) and is_dicom(path) and _holds_image(path)
    except CaseError:
        return False


def _holds_image(path: Path) -> bool:
    from pydicom import dcmread

    with reading(path), header_of(path) as file:
        header = dcmread(file, stop_before_pixels=True, specific_tags=["Rows"], force=True)
    return "Rows" in header


def nifti_shape(path: Path) -> tuple[int, ...] | None:
    """The shape (z, y, x) of a NIfTI file's volumes, from its header; None where it can't be
    read."""
    try:
        return nifti_channels(path)[1].shape
    except CaseError:
        return None


def _is_flat_nifti(path: Path) -> bool:
    try:
        count, grid = nifti_channels(path)
    except CaseError:
        return False
    return count == 1 and 1 in grid.shape


def _flat_dicom(files: Sequence[Path]) -> list[Path]:
    series: defaultdict[Any, list[tuple[Path, Any]]] = defaultdict(list)
    flat: list[Path] = []
    for file, place in zip(files, by_starts(_position, files), strict=True):
        if place is None:
            flat.append(file)  # its name says so: what is wrong is said where it is read
        elif place[0] is not None:
            uid, plane, position = place
            series[uid, plane].append((file, position))
    for (_, plane), members in series.items():
        places = {position for _, position in members}
        if plane is None or None in places or len(places) == 1:
            flat += [file for file, _ in members]
    return flat


def is_located(path: Path) -> bool:
    """Whether a DICOM image says where its plane lies in space, as radiographs don't."""
    place = _position(path)
    return place is not None and place[1] is not None and place[2] is not None


def _position(path: Path) -> tuple[str | None, Any, Any] | None:
    """(series, plane, position) of a DICOM image; no series where it is no image, or of several
    frames. None where it can't be read."""
    try:
        return _read_position(path)
    except CaseError:
        return None


def _read_position(path: Path) -> tuple[str | None, Any, Any]:
    from pydicom import dcmread

    if not is_dicom(path):
        raise CaseError(f"{path}: is not a DICOM file; copy it again or take it away")
    with reading(path), header_of(path) as file:
        header = dcmread(file, stop_before_pixels=True, specific_tags=_TAGS, force=True)
        if "Rows" not in header or int(header.get("NumberOfFrames") or 1) > 1:
            return None, None, None
        plane = plane_of(header, 0)
        rounded = None if plane is None else tuple(np.round(plane, 2).tolist())
        return str(header.get("SeriesInstanceUID", "")), rounded, position_of(header, 0)[0]
