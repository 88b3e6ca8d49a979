"""The pickles within a file of ``torch.save``: measured before torch reads any of them."""

from __future__ import annotations

import mmap
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

from fastcam.read.archive_limits import excess
from fastcam.read.results.pickle_cost import PickleCost, TooCostlyError, measure

_ZIP = b"PK\x03\x04"
# torch.save compresses nothing. What somebody has packed anew may be so many times smaller.
_LEAST, _PER_BYTE = 16 << 20, 8
# torch reads pickles by Python, a microsecond an opcode. Of a packed one this much is read whatever
# the size of the file; one that isn't packed is smaller than its file.
_LEAST_PICKLE = 1 << 20
# In front of the object of a file without zip: a magic number, the protocol, facts of the system;
# behind it the keys of the storages.
_LEGACY_PICKLES = 5


def measure_torch(file: BinaryIO) -> PickleCost:
    """The cost of the most costly pickle in a file; its position is 0 before and afterwards.

    Raises TooCostlyError where one costs too much, or would unpack to too much; ScanError,
    ValueError and what zipfile raises where it is no whole file of ``torch.save``.
    """
    size = file.seek(0, 2)
    file.seek(0)
    try:
        if file.read(len(_ZIP)) == _ZIP:
            with zipfile.ZipFile(file) as archive:
                return _largest([measure(data) for _, data in pickles_in(archive, size)])
        if size == 0:
            raise EOFError("the file is empty")
        return _measure_legacy(file)
    finally:
        file.seek(0)


def pickles_in(archive: zipfile.ZipFile, size: int) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each pickle in a zip file of ``size`` bytes; TooCostlyError where it would
    unpack to too much."""
    if reason := excess(archive, size, _LEAST, _PER_BYTE):
        raise TooCostlyError(reason)
    for member in archive.infolist():
        if not member.filename.endswith("data.pkl"):
            continue
        if member.file_size > size + _LEAST_PICKLE:
            raise TooCostlyError(
                f"its {member.filename} has {member.file_size} bytes, the whole file {size}: "
                "refused as a zip bomb"
            )
        with archive.open(member) as stream:
            # No more than is declared, whatever is stored.
            yield member.filename, stream.read(member.file_size)


def _measure_legacy(file: BinaryIO) -> PickleCost:
    costs: list[PickleCost] = []
    try:
        data: bytes | mmap.mmap = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        file.seek(0)
        data = file.read()
    try:
        end = 0
        for _ in range(_LEGACY_PICKLES):
            costs.append(measure(data, end))
            end = costs[-1].end
    finally:
        if isinstance(data, mmap.mmap):
            data.close()
    return _largest(costs)


def _largest(costs: list[PickleCost]) -> PickleCost:
    if not costs:
        raise ValueError("there is no data.pkl in it")
    most = max(costs, key=lambda cost: cost.objects)
    depth = max(cost.depth for cost in costs)
    return PickleCost(most.end, most.size, most.objects, depth)
