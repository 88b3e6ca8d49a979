"""NumPy files, ``.npy`` and ``.npz``. Nothing is unpickled."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.read.archive_limits import array_header, check_length, check_member
from fastcam.read.axis_order import Axes
from fastcam.read.volumes.memory_limit import check_memory
from fastcam.read.volumes.voxels import Volume, luminance, native
from fastcam.storage.locations import readable
from fastcam.storage.object_path import ObjectPath

# What NumPy and zipfile let out; RuntimeError is an encrypted or unknown kind of archive.
_DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    MemoryError,
    OverflowError,
    SyntaxError,
    RuntimeError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
# Bytes at the peak for each of the array's, measured where its axes are turned.
_COPIES = 2.0


def read_array(path: Path, axes: Axes) -> Volume:
    """The volume of a NumPy file as (z, y, x), contiguous.

    ``axes`` is the order the file's array is in: ``xyz`` is nibabel's. A 2-D array is one slice;
    lengths of 1 beyond three axes are dropped; a fourth axis of 3 or 4 uint8 values is color and
    becomes grey. An ``.npz`` must hold exactly one array of two or more axes.
    """
    try:
        if path.suffix == ".npz":
            with zipfile.ZipFile(readable(path)) as archive:
                member = archive.getinfo(_member(archive, path))
                check_member(archive, member)
                check_memory(path, member.file_size, _COPIES)
                with archive.open(member) as stream:
                    array = np.lib.format.read_array(stream, allow_pickle=False)
        else:
            with path.open("rb") as stream:
                check_length(*array_header(stream), path.stat().st_size)
                if isinstance(path, ObjectPath):
                    stream.seek(0)
                    return _arranged(np.load(stream, allow_pickle=False), axes, path)
            check_memory(path, path.stat().st_size, _COPIES)
            # Mapped where the order changes: then the only copy is the one in our order.
            mapping: Literal["r"] | None = "r" if axes == "xyz" else None
            array = np.load(path, mmap_mode=mapping, allow_pickle=False)
    except _DAMAGED as error:
        raise _unreadable(path, error) from error
    return _arranged(array, axes, path)


def _arranged(array: NDArray[Any], axes: Axes, path: Path) -> Volume:
    shape, color = _grid(array.shape, array.dtype, axes, path)
    array = array.reshape((*shape, -1) if color else shape)
    if axes == "xyz":
        array = array.swapaxes(0, 2)
    if color:
        array = luminance(array)
    # What is mapped is read here, once, into memory: drawing a slice must not wait for the disk.
    mapped = isinstance(array, np.memmap)
    return Volume(voxels=native(np.array(array, order="C", copy=True if mapped else None), path))


def array_shape(path: Path, axes: Axes) -> tuple[int, int, int]:
    """(z, y, x) from the array's header alone."""
    try:
        if path.suffix == ".npz":
            with zipfile.ZipFile(readable(path)) as archive:
                stored, dtype = _header(archive, _member(archive, path))
        else:
            with path.open("rb") as stream:
                stored, dtype = array_header(stream)
    except _DAMAGED as error:
        raise _unreadable(path, error) from error
    shape, _ = _grid(stored, dtype, axes, path)
    first, second, third = shape
    return (third, second, first) if axes == "xyz" else (first, second, third)


def _unreadable(path: Path, error: Exception) -> CaseError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return CaseError(f"{path}: can't be read as a NumPy file: {reason}")


def _member(archive: zipfile.ZipFile, path: Path) -> str:
    shapes = {name: _header(archive, name)[0] for name in archive.namelist() if name[-4:] == ".npy"}
    volumes = [name for name, shape in shapes.items() if len(shape) >= 2]
    if len(volumes) != 1:
        listed = ", ".join(f"{name[:-4]} {shape}" for name, shape in shapes.items()) or "nothing"
        raise CaseError(f"{path}: must hold exactly one volume, but holds {listed}")
    return volumes[0]


def _header(archive: zipfile.ZipFile, member: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with archive.open(member) as stream:
        return array_header(stream)


def _grid(
    stored: tuple[int, ...], dtype: np.dtype[Any], axes: Axes, path: Path
) -> tuple[tuple[int, int, int], bool]:
    """(the three lengths in the file's own order, whether a color axis follows them)."""
    # Three lengths are always a volume, whatever the last one is.
    color = dtype == np.uint8 and len(stored) > 3 and stored[-1] in (3, 4)
    lengths = list(stored[:-1] if color else stored)
    while len(lengths) > 3 and 1 in lengths:
        lengths.remove(1)
    if len(lengths) == 2:
        lengths.insert(0 if axes == "zyx" else 2, 1)
    if len(lengths) != 3 or 0 in lengths:
        raise CaseError(f"{path}: holds an array of shape {stored}; a 3-D volume is needed")
    first, second, third = lengths
    return (first, second, third), color
