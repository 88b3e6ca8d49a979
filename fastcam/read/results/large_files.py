"""Pickled lists in parts, so that a large results file takes little more memory than its numbers.

What can't be read so is read whole, and what is wrong is said as it is of smaller files.
"""

from __future__ import annotations

import io
import mmap
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from fastcam.read.results import torch_parts
from fastcam.read.results.pickle_cost import PickleCost, measure
from fastcam.read.results.pickle_parts import LARGE, PickleParts, parts_of
from fastcam.read.results.pickle_reader import (
    BROKEN,
    is_zip,
    load,
    named_errors,
    unpickle,
)
from fastcam.read.results.torch_cost import pickles_in

# What goes wrong with a part is said, or found not to be wrong, when the whole file is read.
_READ_WHOLE = (*BROKEN, zipfile.BadZipFile, NotImplementedError)


def load_parts(path: Path) -> Iterator[object]:
    """What a pickle, or a file of ``torch.save``, holds: a large list in parts, which are lists.

    Arrays and tensors are NumPy arrays. What was taken over is best dropped before the next part is
    asked for. Raises InputError as :func:`~fastcam.read.results.pickle_reader.load` does, of a
    large file also behind some of its parts.
    """
    taken = 0
    with named_errors(path), path.open("rb") as file:
        source = _source(file) if os.fstat(file.fileno()).st_size >= LARGE else None
        if source is not None:
            with suppress(*_READ_WHOLE):
                for part in source.lists():
                    taken += len(part)
                    yield part
            if taken == len(source.parts.items):
                return
    loaded = load(path)
    yield loaded[taken:] if taken and isinstance(loaded, list) else loaded


@dataclass(frozen=True, eq=False)
class _Source:
    """A large pickle in parts; ``size`` bytes have the file, and ``read`` makes objects."""

    parts: PickleParts
    size: int
    read: Callable[[BinaryIO, PickleCost], object]

    def lists(self) -> Iterator[list[object]]:
        """The items, part by part, up to one that can't be had by itself."""
        hashed = objects = 0
        for pickled in self.parts.pickles():
            if not pickled:
                return
            cost = measure(pickled, hashed=hashed)
            hashed, objects = hashed + cost.hashing, objects + cost.objects
            replace(cost, size=self.size, objects=objects).check_walk()
            loaded = self.read(io.BytesIO(pickled), cost)
            assert isinstance(loaded, list)
            yield loaded


def _source(file: BinaryIO) -> _Source | None:
    size = os.fstat(file.fileno()).st_size
    if is_zip(file):
        return _torch_source(file, size)
    # Not closed by hand: arrays look into it as long as there are parts.
    parts = parts_of(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return None if parts is None else _Source(parts, size, unpickle)


def _torch_source(file: BinaryIO, size: int) -> _Source | None:
    with suppress(*_READ_WHOLE):
        archive = zipfile.ZipFile(file)
        ((name, data),) = pickles_in(archive, size)
        folder = name.removesuffix("/data.pkl")
        order = f"{folder}/byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            return None
        parts = parts_of(data)
        read = partial(
            unpickle, names=torch_parts.NAMES, storage=torch_parts.storages(archive, folder)
        )
        return None if parts is None else _Source(parts, size, read)
    return None
