"""The chunks of a Zarr array as files, read and written without Zarr's machinery.

A store of maps writes ten small chunks a batch. Zarr's event loop takes 15 ms of Python for them,
which a GPU may not take for the whole batch of sixteen; here it is 2.5 ms. Opening a store of
10,000 images reads 5,000 small chunks: 4.7 s by Zarr, 0.6 s here. Nor is Zarr imported, which takes
0.15 s before the first picture. The files are the same: Zarr format 3 (zarr-specs.readthedocs.io,
core 3.0), and Zarr makes and describes the arrays.
"""

from __future__ import annotations

import math
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.read.regular_files import read_regular
from fastcam.run.files import write_bytes
from fastcam.storage.object_path import ObjectPath
from fastcam.storage.parallel import side_by_side
from fastcam.store.packed_chunks import unpacked_texts
from fastcam.store.root import read_json

if TYPE_CHECKING:
    import zarr

TEXT = "string"
# A chunk of rows aims at these bytes before it is packed: a row is read with its whole chunk, and
# each chunk is a file. One that a batch of a model writes may be larger, since it is written once.
_CHUNK_BYTES, _BATCH_CHUNK_BYTES = 4 << 20, 64 << 20
_MOST_ROWS = 65536
# What the codec packs at once.
LARGEST_ROW = (1 << 31) - 1 - (1 << 12)
_NUMBERS = ("bool", "int8", "int32", "int64", "float16", "float32", "float64")
_TEXT_CODECS = (["vlen-utf8"], ["vlen-utf8", "zstd"])


def chunk_rows(count: int, row_bytes: int) -> int:
    """Rows of a chunk, of ``count`` rows of ``row_bytes`` each: some 4 MiB, at least one row, no
    more than there are.

    >>> chunk_rows(6, 5000 * 8), chunk_rows(1_000_000, 21843 * 8), chunk_rows(10**9, 4)
    (6, 24, 65536)
    """
    return max(1, min(count, _MOST_ROWS, _CHUNK_BYTES // max(1, row_bytes)))


def batch_chunk_rows(batch: int, row_bytes: int) -> int:
    """Rows of a chunk of an array that batches of ``batch`` rows write: all of a batch, or the
    largest part of it, of equal ones, that has at most 64 MiB; at least one row.

    >>> batch_chunk_rows(16, 21843 * 4), batch_chunk_rows(12, 20 << 20), batch_chunk_rows(4, 2**30)
    (16, 3, 1)
    """
    parts = (rows for rows in range(batch, 1, -1) if batch % rows == 0)
    return next((rows for rows in parts if rows * row_bytes <= _BATCH_CHUNK_BYTES), 1)


def create_array(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: Any,
    *,
    fill: float | None,
    chunk: int,
    attributes: dict[str, Any] | None = None,
) -> None:
    """Describe an array of which a chunk has ``chunk`` rows and all of the other axes.

    ``dtype`` may be ``TEXT``. The description is one file, which is there whole or not at all.

    blosc-lz4 with bitshuffle, measured on 16 images a chunk, one core: attention of 12 layers
    and heads (1.8 MB) is packed in 3 ms, with zstd in 12 to 28; 3-D maps (4.2 MB) in 7 and 50 to
    150 ms. It saves 13 to 15 % where zstd saves 10 to 50 %, but has to keep up with a GPU.
    """
    from zarr.codecs import BloscCodec

    text = dtype == TEXT
    group.create_array(
        name,
        shape=shape,
        chunks=(chunk, *shape[1:]),
        dtype=dtype,
        compressors=None if text else BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle"),
        fill_value="" if text else fill,
        # One flat folder an array: a folder for each axis and chunk is most of the files else.
        chunk_key_encoding={"name": "default", "separator": "."},
        attributes=attributes,
    )


class Chunks:
    """An array made by :func:`create_array`, or by Zarr with Blosc, or for texts with its defaults.

    Attributes:
        count: number of rows.
        rows: rows of a chunk.
        tail: shape of a row.
        text: whether it holds texts, as objects, rather than numbers.
        dtype: type of its elements.
        fill: the value of elements that were never written.
        attributes: its attributes, plain JSON.

    Raises OSError, ValueError, KeyError, TypeError or RuntimeError where files are damaged, and
    OutputError where a chunk can't be written. A chunk that isn't there reads as fill values.
    """

    def __init__(self, folder: Path) -> None:
        node = read_json(folder / "zarr.json")
        count, *tail = node["shape"]
        rows, *chunk = node["chunk_grid"]["configuration"]["chunk_shape"]
        self.count, self.rows, self.tail = int(count), int(rows), tuple(map(int, tail))
        data_type = node["data_type"]
        codecs = [codec["name"] for codec in node["codecs"]]
        expected = _TEXT_CODECS if data_type == TEXT else (["bytes", "blosc"],)
        keys = node["chunk_key_encoding"]
        separator = keys.get("configuration", {}).get("separator", "/")
        known = keys["name"] == "default" and separator in ("/", ".")
        known = known and data_type in (TEXT, *_NUMBERS)
        if codecs not in expected or chunk != tail or not known:
            raise ValueError(f"{folder.name} is cut or packed in a way that fastcam doesn't")
        self.text = data_type == TEXT
        self.dtype = np.dtype(object if self.text else data_type)
        fill = node["fill_value"]
        self.fill = fill if self.text else self.dtype.type(fill)
        self.attributes: dict[str, Any] = node.get("attributes", {})
        self._folder = folder
        self._zeros = f"{separator}0" * len(tail)
        self._prefix = f"c{separator}"
        self._zstd = "zstd" in codecs
        self._last: tuple[int, NDArray[Any]] | None = None

    def write(self, index: int, values: NDArray[Any], durable: bool = False) -> None:
        """Write chunk ``index``, whole or not at all; ``values`` (r, ...) are its first rows.

        ``durable``: it is on the disk itself when this returns.
        """
        from numcodecs.blosc import Blosc
        from numcodecs.vlen import VLenUTF8
        from numcodecs.zstd import Zstd

        if values.shape[1:] != self.tail or len(values) > self.rows:
            raise ValueError(f"rows of shape {values.shape} for ({self.rows}, *{self.tail})")
        chunk = np.ascontiguousarray(values, self.dtype)
        if len(chunk) < self.rows:
            chunk = np.full((self.rows, *self.tail), self.fill, self.dtype)
            chunk[: len(values)] = values
        codec = VLenUTF8() if self.text else Blosc("lz4", 5, Blosc.BITSHUFFLE)
        self._last = None
        data = codec.encode(chunk)
        write_bytes(self.path(index), [Zstd().encode(data) if self._zstd else data], durable)

    def write_rows(self, start: int, values: NDArray[Any], durable: bool = False) -> None:
        """Write the chunks from row ``start`` on, where one begins, as :meth:`write` does."""
        if start % self.rows:
            raise ValueError(f"no chunk of {self.rows} rows begins at row {start}")
        for first in range(0, len(values), self.rows):
            self.write((start + first) // self.rows, values[first : first + self.rows], durable)

    def row(self, index: int) -> NDArray[Any]:
        """Row ``index``, of the chunk that was read last where it is in that one; not to be
        written to."""
        number = index // self.rows
        last = self._last
        if last is None or last[0] != number:
            last = self._last = number, self.read(number)
        row: NDArray[Any] = last[1][index - number * self.rows]
        return row

    @property
    def bytes(self) -> int:
        """Bytes of all its elements; of texts those of the references."""
        return self.count * math.prod(self.tail) * self.dtype.itemsize

    def path(self, index: int) -> Path:
        """The file of chunk ``index``, there or not."""
        return self._folder / f"{self._prefix}{index}{self._zeros}"

    def read(self, index: int) -> NDArray[Any]:
        """The rows of chunk ``index``, (r, ...); fewer than ``rows`` in the last one."""
        from numcodecs.blosc import Blosc
        from numcodecs.vlen import VLenUTF8

        length = min(self.rows, self.count - index * self.rows)
        shape = (self.rows, *self.tail)
        try:
            data = read_regular(self.path(index))
        except FileNotFoundError:
            # Takes no memory, whatever size the array says it has.
            return np.broadcast_to(np.asarray(self.fill, self.dtype), (length, *self.tail))
        if self.text:
            data = unpacked_texts(data, self.rows, self._folder.name)
            texts: NDArray[Any] = np.reshape(VLenUTF8().decode(data), shape)
            return texts[:length]
        # Blosc's header, 16 bytes, holds both lengths, by which a file cut short is noticed.
        size = int.from_bytes(data[4:8], "little")
        packed = int.from_bytes(data[12:16], "little")
        if packed != len(data) or size != math.prod(shape) * self.dtype.itemsize:
            raise ValueError(f"chunk {index} of {self._folder.name} is not whole")
        return np.frombuffer(Blosc().decode(data), self.dtype).reshape(shape)[:length]

    def is_whole(self, index: int) -> bool:
        """Whether the file of chunk ``index``, of numbers, is there and as long as it says; an
        object is put whole or not at all."""
        path = self.path(index)
        if isinstance(path, ObjectPath):
            return path.is_file() and path.stat().st_size >= 16
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            header, size = os.read(descriptor, 16), os.fstat(descriptor).st_size
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return len(header) == 16 and int.from_bytes(header[12:], "little") == size

    def read_all(self) -> NDArray[Any]:
        """All rows, (count, ...)."""
        return self.read_rows(0, self.count)

    def read_rows(self, start: int, stop: int) -> NDArray[Any]:
        """The rows from ``start`` to before ``stop``, (stop - start, ...)."""
        first = start // self.rows
        chunks = range(first, -(-stop // self.rows))
        if isinstance(self._folder, ObjectPath):
            # Threads that import it at the same time may find half of it.
            import numcodecs  # noqa: F401

            parts = side_by_side(self.read, chunks)
        else:
            parts = [self.read(index) for index in chunks]
        if not parts:
            return np.empty((0, *self.tail), self.dtype)
        parts[-1] = parts[-1][: stop - chunks[-1] * self.rows]
        parts[0] = parts[0][start - first * self.rows :]
        return np.concatenate(parts)


def lock_by_thread() -> None:
    """Let numcodecs guard Blosc by a lock of this process's threads.

    By itself it takes a semaphore of the system, whose name a worker that is killed leaves behind:
    a warning about a leak at the end of the run.
    """
    from numcodecs import blosc

    if hasattr(blosc, "_MUTEX"):
        blosc._MUTEX, blosc._MUTEX_IS_INIT = threading.Lock(), True
