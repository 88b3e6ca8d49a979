"""The arrays of a store of maps whose shape only the first finished batch tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fastcam.run.files import make_folder, write_files
from fastcam.storage.locations import absent
from fastcam.storage.object_path import ObjectPath
from fastcam.store import map_schema
from fastcam.store.folder_names import folder_of


def add_arrays(
    path: Path,
    columns: Mapping[str, NDArray[Any]],
    count: int,
    batch: int,
    attributes: Callable[[str], dict[str, Any]],
) -> None:
    """Describe those arrays that the store at ``path`` lacks: ``count`` rows like the values
    (r, ...) of their names in ``columns``, of which a batch writes ``batch``.

    ``attributes`` of each name. InputError where a row is larger than can be packed.
    """
    descriptions = {path / folder_of(name) / "zarr.json": name for name in columns}
    names = [descriptions[file] for file in absent(list(descriptions))]
    if not names:
        return
    import zarr

    # In memory first. In a bucket each group that Zarr looks for is some requests, one after the
    # other; on a disk a process that is killed while Zarr writes leaves a file that nobody removes.
    described: dict[str, Any] = {}
    root = zarr.create_group(zarr.storage.MemoryStore(described), zarr_format=3)
    for name in names:
        map_schema.create_batch_array(
            root, name, columns[name], count=count, batch=batch, attributes=attributes(name)
        )
    own = {path / way: value.to_bytes() for way, value in described.items()}
    files = absent(list(own))
    if not isinstance(path, ObjectPath):
        for file in files:
            make_folder(file.parent)
    for _ in write_files([(file, [own[file]]) for file in files]):
        pass
