"""A new store of maps, with every image or volume still open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastcam.errors import InputError
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.slicing import SliceTable
from fastcam.run.files import new_folder
from fastcam.store import map_schema
from fastcam.store.map_schema import MapAttrs
from fastcam.store.maps import MapStore


def create_maps(
    path: Path,
    attrs: MapAttrs,
    items: Sequence[Item],
    batch: int,
    table: SliceTable | None = None,
) -> MapStore:
    """Make a store for ``items``, ``batch`` of them a chunk, with every one still open.

    ``table``: the slices of the volumes ``items`` where the model sees these one by one, ``batch``
    slices a chunk. Raises :class:`OutputError` when something is there already or it can't be
    written; nothing half-written stays behind.
    """
    if not items or batch < 1:
        raise InputError(f"{path}: a store needs at least one image and a batch of at least one")
    batch = min(batch, len(items) if table is None else len(table))
    with new_folder(path) as temporary:
        map_schema.write_skeleton(temporary, attrs, items, batch, table)
    return MapStore.open(path)
