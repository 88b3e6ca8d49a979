"""Stores of maps made by hand, whose inputs are recorded as ``fastcam infer`` records them."""

from __future__ import annotations

from typing import TypeVar

from fastcam.jobs.infer.stored_inputs import StoredInputs
from fastcam.read.inputs.inputs import Item
from fastcam.store.maps import MapStore
from fastcam.store.patches import RunStore

Store = TypeVar("Store", bound=MapStore | RunStore)


def recorded(store: Store, items: list[Item] | None = None, masks: bool = False) -> Store:
    """The store, after the files of ``items``, by default those of its images, were recorded."""
    if items is None:
        assert isinstance(store, MapStore)
        items = [Item(h.id, h.group, h.source, h.mask_source, h.label) for h in store.headers]
    with StoredInputs(store.path, items, range(len(items)), masks) as stored:
        stored.add(range(len(items)))
    return store
