"""One door to every kind of run store."""

from __future__ import annotations

from pathlib import Path

from fastcam import mapschema, store
from fastcam.errors import InputError
from fastcam.mapstore import MapStore
from fastcam.store import RunStore
from fastcam.storeroot import read_root


def open_store(path: Path | str) -> RunStore | MapStore:
    """Open the run store at ``path``: one of patch attention or one of maps.

    InputError unless it is one of these, whole and of this schema.
    """
    path = Path(path)
    kind = read_root(path).get("kind")
    if kind == mapschema.KIND:
        return MapStore.open(path)
    if kind == store.KIND:
        return store.open_store(path)
    raise InputError(
        f"{path}: is a run store of kind {kind!r:.40}, which this fastcam does not know; "
        "use the fastcam that wrote it"
    )
