"""What a store's own descriptions say, held against what lies on the disk, before it is read.

A ``zarr.json`` of a few bytes can say that an array has a trillion rows; each missing chunk then
reads as fill values. So the sizes of all arrays are compared with the texts of ``cases/id``, which
are there in full, and with each other; folders that lead out of the store are refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastcam.errors import InputError
from fastcam.read.regular_files import check_regular, stored_bytes
from fastcam.storage.locations import as_path, entries, files_below
from fastcam.store.packed_chunks import check_packed_texts
from fastcam.store.root import ZARR_ERRORS, read_json

# Number types of the arrays of stores, in bytes; a text is a reference.
_SIZES = {
    "bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "float16": 2, "int32": 4,
    "float32": 4, "int64": 8, "float64": 8, "string": 8,
}  # fmt: skip
_CODECS = {"bytes", "blosc", "vlen-utf8", "zstd"}
# Blosc packs no more at once.
_LARGEST_CHUNK = (1 << 31) - 1
# Bytes of an array that is read as a whole, at least and for each byte of the names of its cases:
# a name of 5 bytes may come with the probabilities of 10,000 classes.
_LEAST, _PER_BYTE = 64 << 20, 16384
# Of all arrays of patches, for each byte of their weights on the disk.
_PER_WEIGHT = 2048
# A name takes a byte at least, where it isn't packed. Packed ones that all differ take more than a
# twentieth.
_NAMES_PER_BYTE, _LEAST_NAMES = 20, 4096
# Chunks smaller than this may not be many.
_SMALL_CHUNK, _MANY_CHUNKS = 1 << 16, 4096
_MOST_AXES = 8
# Arrays that are read a chunk at a time where they are large, and the bytes of such a chunk.
_LAZY, _LAZY_CHUNK = ("probability", "output", "target", "measures"), 64 << 20
# Arrays that are always read a chunk at a time, and those of a case's patches.
_BY_CHUNK = ("maps", "gates", "labels")
_PATCHES = "patches"
_IDS = "cases/id"
_TEXTS = ("fastcam", "kind", "sha256", "created")
_MAP_TEXTS = ("root", "model", "checkpoint")


@dataclass(frozen=True)
class _Array:
    """One ``zarr.json``: the array's name, its shape, that of its chunks, bytes of an element."""

    name: str
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    size: int

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.size

    @property
    def chunk_bytes(self) -> int:
        return math.prod(self.chunk) * self.size

    @property
    def chunks(self) -> int:
        return math.prod(-(-n // c) for n, c in zip(self.shape, self.chunk, strict=True))


def check_store(path: Path) -> None:
    """InputError where the store at ``path`` asks for more than its files can hold.

    Only descriptions are read, and the sizes of the chunks of names and weights.
    """
    try:
        _check_attributes(read_json(path / "zarr.json")["attributes"])
        arrays = {array.name: array for array in map(_described, *_array_folders(path))}
        _check_sizes(path, arrays)
        if _PATCHES in {name.partition("/")[0] for name in arrays}:
            check_packed_texts(path / _IDS, arrays[_IDS].chunk[0])
    except InputError:
        raise
    except ZARR_ERRORS as error:
        reason = str(error) if isinstance(error, ValueError) else repr(error)
        raise InputError(
            f"{path}: the run store is damaged ({reason:.300}); make it again"
        ) from error


def _array_folders(path: Path) -> tuple[list[Path], list[Path]]:
    """The folders of arrays, twice: relative to the store, and as they are."""
    inside = path.resolve()
    arrays: list[Path] = []
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        if not folder.resolve().is_relative_to(inside):
            raise ValueError(f"its folder {folder.relative_to(path)} leads out of it")
        description = folder / "zarr.json"
        check_regular(description)
        if folder != path and description.exists() and _is_array(description):
            arrays.append(folder)
        elif len(folder.relative_to(path).parts) < 3:
            waiting += [as_path(entry.path) for entry in entries(folder) if entry.is_dir()]
    return [folder.relative_to(path) for folder in arrays], arrays


def _is_array(description: Path) -> bool:
    return bool(read_json(description)["node_type"] == "array")


def _described(name: Path, folder: Path) -> _Array:
    node = read_json(folder / "zarr.json")
    shape, chunk = node["shape"], node["chunk_grid"]["configuration"]["chunk_shape"]
    counts = [*shape, *chunk]
    if not all(type(n) is int and 0 <= n < 2**62 for n in counts) or not 1 <= len(shape) <= (
        _MOST_AXES
    ):
        raise ValueError(f"{name} has the shape {shape!s:.60}")
    if len(shape) != len(chunk) or 0 in chunk:
        raise ValueError(f"{name} of shape {shape} has chunks of {chunk!s:.60}")
    if node["data_type"] not in _SIZES or not {c["name"] for c in node["codecs"]} <= _CODECS:
        raise ValueError(f"{name} is stored in a way that fastcam doesn't")
    array = _Array(name.as_posix(), tuple(shape), tuple(chunk), _SIZES[node["data_type"]])
    if array.chunk_bytes > _LARGEST_CHUNK:
        raise ValueError(f"{name} has chunks of shape {chunk}, larger than can be packed")
    if name.parts[0] == "maps":
        _check_map(name, node["attributes"], len(shape))
    return array


def _check_map(name: Path, attributes: Mapping[str, Any], axes: int) -> None:
    texts = [*attributes["axes"], *attributes["layer_names"], attributes.get("note", "")]
    numbers = (attributes["place"], attributes["maps"])
    good = all(isinstance(text, str) for text in texts) and len(attributes["axes"]) == axes
    if not good or not all(type(n) is int and 0 <= n < 2**20 for n in numbers):
        raise ValueError(f"{name} has attributes of another kind")


def _check_sizes(path: Path, arrays: Mapping[str, _Array]) -> None:
    ids = arrays[_IDS]
    name_bytes = _stored(path / _IDS)
    packed = f"{_PATCHES}/weight" in arrays
    if not packed:
        # In chunks that aren't packed each text, also the empty ones that fill up the last chunk,
        # has its length in front.
        name_bytes = max(0, name_bytes - ids.chunks * 4 * (1 + ids.chunk[0]))
    if ids.shape[0] > (_LEAST_NAMES + _NAMES_PER_BYTE * name_bytes if packed else name_bytes):
        raise ValueError(f"{_IDS} has {ids.shape[0]} rows in {name_bytes} bytes")
    weights = _stored(path / _PATCHES / "weight") if packed else 0
    status = arrays.get("done/status")
    for array in arrays.values():
        folder = array.name.partition("/")[0]
        if folder in _BY_CHUNK:
            if status is None or array.shape[0] != status.shape[0]:
                raise ValueError(f"{array.name} has {array.shape[0]} rows, and done/status others")
            if array.chunk[1:] != array.shape[1:]:
                raise ValueError(f"{array.name} of shape {array.shape} is cut into {array.chunk}")
            continue
        of_patches = folder == _PATCHES and not array.name.endswith("case_offset")
        allowed = _LEAST + (_PER_WEIGHT * weights if of_patches else _PER_BYTE * name_bytes)
        few = array.chunks <= _MANY_CHUNKS or array.chunk_bytes >= _SMALL_CHUNK
        by_chunk = array.name.partition("/")[2] in _LAZY and array.chunk_bytes <= _LAZY_CHUNK
        few = few or array.chunks <= ids.shape[0]
        if (array.bytes > allowed and not by_chunk) or not few:
            raise ValueError(
                f"{array.name} has the shape {array.shape}, far more than the {ids.shape[0]} cases "
                "have"
            )
        if array.name.startswith("cases/") and packed:
            _check_rows(array, ids.shape[0])
    for name, array in arrays.items():
        if name.startswith(f"{_PATCHES}/"):
            extra = int(name.endswith("case_offset"))
            first = ids.shape[0] + 1 if extra else arrays[f"{_PATCHES}/weight"].shape[0]
            _check_rows(array, first)


def _check_rows(array: _Array, count: int) -> None:
    if array.shape[0] != count:
        raise ValueError(f"{array.name} has {array.shape[0]} rows, not {count}")


def _stored(folder: Path) -> int:
    """Bytes of all chunks in a folder. InputError where one is not a regular file."""
    total = 0
    for file in files_below(folder):
        if file.name != "zarr.json":
            check_regular(file)
            total += stored_bytes(file)
    return total


def _check_attributes(attributes: Mapping[str, Any]) -> None:
    maps = attributes.get("kind") == "maps"
    texts = [*_TEXTS, *(_MAP_TEXTS if maps else ("source",))]
    for name in texts:
        if not isinstance(attributes.get(name, ""), str):
            raise ValueError(f"its attribute {name!r} is not a text")
    if maps:
        for name in ("methods", "layers"):
            value = attributes.get(name, [])
            if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
                raise ValueError(f"its attribute {name!r} is not a list of texts")
        for name in ("preprocessing", "settings"):
            if not isinstance(attributes.get(name, {}), dict):
                raise ValueError(f"its attribute {name!r} is not a table")
        if attributes.get("dims", 2) not in (2, 3):
            raise ValueError("its attribute 'dims' is neither 2 nor 3")
        return
    for name in ("rejected", "warnings"):
        for entry in attributes.get(name, []):
            good = set(entry) == {"place", "name", "reason"} and type(entry["place"]) is int
            if not good or not all(isinstance(entry[key], str) for key in ("name", "reason")):
                raise ValueError(f"its attribute {name!r} has entries of another kind")
