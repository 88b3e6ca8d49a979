"""A large file of ``torch.save`` without torch: its pickle, and its tensors as NumPy arrays.

torch reads it by Python, a microsecond an opcode, and keeps every dict: 1.04 million positions took
51 s and 1.2 GB.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.read.results.numpy_stand_ins import Call, PendingArray, Sealed, refuse
from fastcam.read.results.tensors import counts

_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class _StorageName(Sealed):
    """What ``torch.FloatStorage`` and its like stand for: only a persistent id takes it."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype


def _rebuild_tensor(
    storage: object, offset: object, shape: object, stride: object, *_autograd: object
) -> NDArray[Any]:
    if not isinstance(storage, np.ndarray):
        refuse("a tensor of something other than numbers")
    (start,), sizes, steps = counts((offset,)), counts(shape), counts(stride)
    if len(sizes) != len(steps):
        refuse("a tensor whose shape and stride don't belong together")
    # as_strided() checks nothing.
    last = start + sum((n - 1) * step for n, step in zip(sizes, steps, strict=True))
    if 0 not in sizes and last >= len(storage):
        refuse(f"a tensor of shape {sizes} in a storage of {len(storage)} numbers")
    if math.prod(sizes) > len(storage):
        refuse(f"a tensor of shape {sizes} that repeats its {len(storage)} numbers")
    strides = [step * storage.itemsize for step in steps]
    flat = storage[start:] if 0 not in sizes else storage[:0]
    strided = np.lib.stride_tricks.as_strided(flat, sizes, strides, writeable=False)
    return strided.view(PendingArray)


NAMES: dict[tuple[str, str], Sealed] = {
    **{("torch", name): _StorageName(np.dtype(code)) for name, code in _DTYPES.items()},
    ("torch._utils", "_rebuild_tensor_v2"): Call(_rebuild_tensor),
}


def storages(archive: zipfile.ZipFile, folder: str) -> Callable[[object], object]:
    """What gives the numbers of a persistent id, ("storage", name, key, device, count), which lie
    in ``<folder>/data/<key>``; each is read once."""
    known: dict[str, NDArray[Any]] = {}

    def storage(identity: object) -> object:
        if not (isinstance(identity, tuple) and len(identity) == 5 and identity[0] == "storage"):
            refuse("a storage that torch.save didn't write")
        _, name, key, _device, count = identity
        if not isinstance(name, _StorageName) or not isinstance(key, str) or not key.isdigit():
            refuse("a storage that torch.save didn't write")
        if key not in known:
            known[key] = np.frombuffer(archive.read(f"{folder}/data/{key}"), np.uint8)
        numbers = known[key].view(name.dtype)
        if type(count) is not int or count != len(numbers):
            refuse(f"a storage of {count!r:.20} numbers that has {len(numbers)}")
        return numbers

    return storage
