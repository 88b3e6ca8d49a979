"""Volumes that SimpleITK reads: ``.nrrd``, ``.mha``, ``.mhd``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fastcam.errors import CaseError
from fastcam.read.volumes.geometry import Affine, Grid
from fastcam.read.volumes.memory_limit import check_memory
from fastcam.read.volumes.voxels import LPS_TO_RAS, Volume, luminance, native
from fastcam.storage.local_copy import local_copy
from fastcam.storage.object_path import ObjectPath

# Bytes at the peak for each of the volume's, measured: SimpleITK's own, and the array's.
_COPIES = 2.5
_META_IMAGES = (".mha", ".mhd")
_AXES, _HEADER = re.compile(rb"NDims\s*=([^\r\n]*)"), 1 << 16


def read_itk(path: Path) -> Volume:
    """The volume as (z, y, x), SimpleITK's own order; CaseError where it isn't installed."""
    with _one_file(path) as file:
        return _read_itk(file)


def _read_itk(path: Path) -> Volume:
    itk = _simpleitk(path)
    reader = _reader(itk, path)
    _check_memory(itk, reader, path)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise _unreadable(path, error) from error
    voxels = itk.GetArrayFromImage(image)
    if image.GetNumberOfComponentsPerPixel() in (3, 4) and voxels.dtype == np.uint8:
        voxels = luminance(voxels)
    voxels = voxels.reshape(_shape(reader, path))
    return Volume(voxels=native(voxels, path), affine=_affine(reader))


def itk_shape(path: Path) -> tuple[int, int, int]:
    """(z, y, x) from the header alone."""
    return itk_grid(path).shape


def itk_grid(path: Path) -> Grid:
    """Where the voxels lie, from the header alone."""
    with _one_file(path) as file:
        reader = _reader(_simpleitk(file), file)
    return Grid(_shape(reader, path), _affine(reader))


@contextmanager
def _one_file(path: Path) -> Iterator[Path]:
    """The file where ITK finds it. CaseError for one in a bucket whose voxels are in another."""
    if isinstance(path, ObjectPath) and path.suffix.lower() == ".mhd":
        raise CaseError(f"{path}: has its voxels in another file; copy both here, or give NIfTI")
    try:
        with local_copy(path) as file:
            yield file
    except OSError as error:
        raise CaseError(f"{path}: can't be read: {error.strerror or error}") from error


def _simpleitk(path: Path) -> Any:
    try:
        import SimpleITK
    except ImportError as error:
        raise CaseError(f"{path}: needs SimpleITK; install fastcam[itk]") from error
    return SimpleITK


def _check_memory(itk: Any, reader: Any, path: Path) -> None:
    components = max(1, reader.GetNumberOfComponents())
    name = itk.GetPixelIDValueAsString(reader.GetPixelID())
    bits = next((bits for bits in (64, 32, 16, 8) if f"{bits}-bit" in name), 64)
    check_memory(path, math.prod(reader.GetSize()) * components * bits // 8, _COPIES)


def _reader(itk: Any, path: Path) -> Any:
    if path.suffix.lower() in _META_IMAGES:
        _check_axes(path)
    reader = itk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _unreadable(path, error) from error
    return reader


def _check_axes(path: Path) -> None:
    """CaseError where a MetaImage says that it has more than ten axes: ITK has room for no more,
    and ends the process."""
    try:
        with path.open("rb") as stream:
            counts = _AXES.findall(stream.read(_HEADER))
    except OSError as error:
        raise CaseError(f"{path}: can't be read: {error.strerror or error}") from error
    for text in counts:
        count = text.strip()
        if not (count.isdigit() and len(count) < 3 and 1 <= int(count) <= 10):
            raise CaseError(f"{path}: is damaged: its NDims is not a number of axes; copy it again")


def _shape(reader: Any, path: Path) -> tuple[int, int, int]:
    size = [int(n) for n in reader.GetSize()]
    if len(size) < 2 or any(n != 1 for n in size[3:]):
        raise CaseError(f"{path}: has shape {tuple(size)}; a single 3-D volume is needed")
    x, y, z = (*size, 1)[:3]
    return z, y, x


def _affine(reader: Any) -> Affine | None:
    """None for pictures, which have no place in space."""
    if reader.GetDimension() != 3:
        return None
    affine = np.eye(4)
    affine[:3, :3] = np.array(reader.GetDirection()).reshape(3, 3) * np.array(reader.GetSpacing())
    affine[:3, 3] = reader.GetOrigin()
    return LPS_TO_RAS @ affine  # ITK's millimetres are LPS


def _unreadable(path: Path, error: RuntimeError) -> CaseError:
    lines = str(error).strip().splitlines()
    return CaseError(f"{path}: can't be read: {lines[-1].strip() if lines else 'unknown reason'}")
