"""Opening any kind of run store."""

from __future__ import annotations

from pathlib import Path

from fastcam.errors import InputError
from fastcam.storage.locations import as_path
from fastcam.store import map_schema, patches
from fastcam.store.maps import MapStore
from fastcam.store.patches import RunStore
from fastcam.store.root import read_root


def open_store(path: Path | str) -> RunStore | MapStore:
    """Open the run store at ``path``: one of patch attention or one of maps.

    InputError unless it is one of these, whole and of this schema.
    """
    path = as_path(path)
    kind = read_root(path).get("kind")
    if kind == map_schema.KIND:
        return MapStore.open(path)
    if kind == patches.KIND:
        return patches.open_store(path)
    raise InputError(
        f"{path}: is a run store of kind {kind!r:.40}, which this fastcam does not know; "
        "use the fastcam that wrote it"
    )
