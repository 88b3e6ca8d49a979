"""Chunks of texts that Zarr packs: what they unpack to, before it is done."""

from __future__ import annotations

from pathlib import Path

from fastcam.read.regular_files import read_regular
from fastcam.storage.locations import files_below

_MAGIC = b"\x28\xb5\x2f\xfd"
# Bytes that a chunk may unpack to, at least and for each byte of it.
_LEAST, _PER_BYTE = 64 << 20, 100


def check_packed_texts(folder: Path, rows: int) -> None:
    """ValueError where a chunk in the array's ``folder`` unpacks to more than its size allows, or
    begins with another number of texts than ``rows``, for which the codec would make room."""
    for file in files_below(folder):
        if file.name != "zarr.json":
            unpacked_texts(read_regular(file), rows, folder.name)


def unpacked_texts(data: bytes, rows: int, name: str) -> bytes:
    """A chunk of texts of the array ``name`` as vlen-utf8 has it, unpacked where zstd packed it.

    ValueError as :func:`check_packed_texts`.
    """
    from numcodecs.zstd import Zstd

    if data.startswith(_MAGIC):
        unpacked = _content_size(data)
        if not 0 <= unpacked <= _LEAST + _PER_BYTE * len(data):
            raise ValueError(f"{name} has a chunk of {len(data)} bytes that unpacks to {unpacked}")
        data = bytes(Zstd().decode(data))
    if int.from_bytes(data[:4], "little") != rows:
        raise ValueError(f"{name} has a chunk that is not whole")
    return data


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
