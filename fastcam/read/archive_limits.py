"""What an archive or an array in it would take, by directories and headers, before it is read."""

from __future__ import annotations

import math
import zipfile
from typing import IO, Any

import numpy as np


def excess(archive: zipfile.ZipFile, size: int, least: int, per_byte: int) -> str:
    """Why an archive of ``size`` bytes is not unpacked; "" where nothing is wrong.

    All members together may have ``least`` bytes, and ``per_byte`` for each byte of the file. So
    members that share their bytes count as often as they are listed.
    """
    unpacked = sum(member.file_size for member in archive.infolist())
    allowed = least + per_byte * size
    if unpacked > allowed:
        return (
            f"its {size} bytes would unpack to {unpacked}, and a file of this size may have "
            f"{allowed}: refused as a zip bomb"
        )
    return ""


def array_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype in the header of an array that NumPy wrote; ValueError where it is none."""
    shape, dtype, _ = array_layout(stream)
    return shape, dtype


def array_layout(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """As :func:`array_header`, and whether columns follow each other rather than rows."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        # Version 3 is version 2 with UTF-8 field names, which only records have.
        shape, by_columns, dtype = np.lib.format.read_array_header_2_0(stream)
    return shape, dtype, by_columns


def check_length(shape: tuple[int, ...], dtype: np.dtype[Any], size: int) -> None:
    """ValueError where an array of this shape doesn't fit into ``size`` bytes."""
    if math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"its header says shape {shape} of {dtype}, but it has {size} bytes")


def check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """ValueError where an array in an ``.npz`` says that it is larger than its member is."""
    if member.filename.endswith(".npy"):
        with archive.open(member) as stream:
            check_length(*array_header(stream), member.file_size)
