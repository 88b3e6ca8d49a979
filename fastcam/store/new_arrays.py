"""The arrays of a store of maps whose shape only the first finished batch tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fastcam.run.files import write_files
from fastcam.storage.locations import absent
from fastcam.storage.object_path import ObjectPath
from fastcam.store import map_schema
from fastcam.store.folder_names import folder_of
from fastcam.store.zarr_place import zarr_place


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

    # In a bucket each group that Zarr looks for is some requests, one after the other: there they
    # are described in memory first.
    described: dict[str, Any] = {}
    remote = isinstance(path, ObjectPath)
    root = (
        zarr.create_group(zarr.storage.MemoryStore(described), zarr_format=3)
        if remote
        else zarr.open_group(zarr_place(path), mode="r+", zarr_format=3)
    )
    for name in names:
        map_schema.create_batch_array(
            root, name, columns[name], count=count, batch=batch, attributes=attributes(name)
        )
    if remote:
        own = {path / way: value.to_bytes() for way, value in described.items()}
        for _ in write_files([(file, [own[file]]) for file in absent(list(own))]):
            pass
