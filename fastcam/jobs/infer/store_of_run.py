"""The store that a run goes on with, or makes: what tells it from that of another run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastcam.errors import InputError
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.slicing import SliceTable
from fastcam.run.files import remove, remove_partial
from fastcam.run.folder import differences
from fastcam.store.map_schema import MapAttrs
from fastcam.store.maps import MapStore, create_maps


def earlier_store(
    path: Path, attrs: MapAttrs, items: Sequence[Item], overwrite: bool
) -> MapStore | None:
    """The store of an earlier run of the same job; None for none, or one that is to be replaced."""
    if not path.exists() or overwrite:
        return None
    store = MapStore.open(path)
    if store.attrs.sha256 == attrs.sha256:
        if store.table is not None:
            store.set_pool(attrs.settings["pool"])
        return store
    raise InputError(
        f"{path} was made with other images, weights or settings "
        f"({_difference(store, attrs, items)}); give another "
        "--output-dir, or --overwrite to replace it"
    )


def open_or_create(
    path: Path,
    attrs: MapAttrs,
    items: Sequence[Item],
    table: SliceTable | None,
    batch_size: int,
    overwrite: bool,
) -> MapStore:
    """The store of an earlier run of the same job, or a new one."""
    store = earlier_store(path, attrs, items, overwrite)
    if store is not None:
        return store
    remove(path)
    remove_partial(path)
    return create_maps(path, attrs, items, batch_size, table)


def _difference(store: MapStore, new: MapAttrs, items: Sequence[Item]) -> str:
    """In what a store differs from the one that would be made now."""
    old = store.attrs
    pairs: list[tuple[str, Any, Any]] = [
        ("model", old.model, new.model),
        ("checkpoint", old.checkpoint, new.checkpoint),
        ("images", len(store), len(items)),
        ("folder", old.root, new.root),
    ]
    for name in ("preprocessing", "settings"):
        before, now = dict(getattr(old, name)), json.loads(json.dumps(getattr(new, name)))
        keys = [key for key in {**now, **before} if key not in ("map_images", "pool")]
        pairs += [(key, before.get(key), now.get(key)) for key in keys]
    changed = differences(pairs)
    if not changed and len(store) == len(items):
        both = list(zip(store.headers, items, strict=True))
        labels = sum(header.label != item.label for header, item in both)
        masks = sum((header.mask_source is None) != (item.mask is None) for header, item in both)
        for count, unit in ((labels, "labels"), (masks, "masks")):
            changed += [f"{unit} of {count} images"] if count else []
    return "; ".join(changed) or "other files"
