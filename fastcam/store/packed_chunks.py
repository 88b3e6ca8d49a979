"""Chunks that Zarr packs: that they are whole, and what they unpack to, before they are read."""

from __future__ import annotations

import os
from pathlib import Path

from fastcam.read.regular_files import read_regular
from fastcam.storage.locations import files_below
from fastcam.storage.object_path import ObjectPath

_MAGIC = b"\x28\xb5\x2f\xfd"
# Bytes that a chunk may unpack to, at least and for each byte of it.
_LEAST, _PER_BYTE = 64 << 20, 100
_HEADER = 16


def check_packed_texts(folder: Path, rows: int) -> None:
    """ValueError where a chunk in the array's ``folder`` unpacks to more than its size allows, or
    begins with another number of texts than ``rows``, for which the codec would make room."""
    for file in files_below(folder):
        if file.name != "zarr.json":
            _check(read_regular(file), rows, folder.name)


def check_packed_numbers(file: Path, chunk_bytes: int) -> None:
    """ValueError where a chunk of numbers isn't one of ``chunk_bytes`` that Blosc packed, in its
    whole length: Blosc itself would read on behind the end of a file cut short. One that isn't
    there is well."""
    if isinstance(file, ObjectPath):  # Zarr may find another one a moment later: put, it is whole
        return
    try:
        with file.open("rb") as stream:
            header, size = stream.read(_HEADER), os.fstat(stream.fileno()).st_size
    except FileNotFoundError:
        return
    # Both lengths stand in the header of 16 bytes.
    unpacked = int.from_bytes(header[4:8], "little")
    packed = int.from_bytes(header[12:16], "little")
    # What can't be packed is stored as it is, behind the header.
    whole = packed == size <= chunk_bytes + _HEADER and unpacked == chunk_bytes
    if len(header) < _HEADER or not whole:
        raise ValueError(f"the chunk {file.name} is not whole")


def _check(data: bytes, rows: int, name: str) -> None:
    from numcodecs.zstd import Zstd

    if data.startswith(_MAGIC):
        unpacked = _content_size(data)
        if not 0 <= unpacked <= _LEAST + _PER_BYTE * len(data):
            raise ValueError(f"{name} has a chunk of {len(data)} bytes that unpacks to {unpacked}")
        data = bytes(Zstd().decode(data))
    if int.from_bytes(data[:4], "little") != rows:
        raise ValueError(f"{name} has a chunk that is not whole")


def _content_size(frame: bytes) -> int:
    """Bytes that a zstd frame says it unpacks to (RFC 8878, 3.1.1.1); -1 where it doesn't."""
    descriptor = frame[4] if len(frame) > 4 else 0
    flag, single, dictionary = descriptor >> 6, descriptor >> 5 & 1, descriptor & 3
    start = 5 + (not single) + (0, 1, 2, 4)[dictionary]
    length = (single, 2, 4, 8)[flag]
    if length == 0 or len(frame) < start + length:
        return -1
    size = int.from_bytes(frame[start : start + length], "little")
    return size + 256 if length == 2 else size
