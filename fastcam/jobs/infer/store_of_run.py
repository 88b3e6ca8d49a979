"""The store that a run goes on with, or makes: what tells it from that of another run."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastcam.errors import InputError
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.slicing import SliceTable
from fastcam.run.files import remove, remove_partial
from fastcam.run.folder import differences
from fastcam.storage.locations import as_path
from fastcam.store.map_headers import write_masks_and_labels
from fastcam.store.map_schema import MapAttrs
from fastcam.store.maps import MapStore
from fastcam.store.new_maps import create_maps
from fastcam.store.root import storable, write_identity

# Settings that don't decide what a store holds, but how it is read.
READING_RULES = {"pool", "sign"}


# The fingerprint of a run of these items.
Identity = Callable[[Sequence[Item]], str]


@dataclass(frozen=True)
class OtherFacts:
    """The 0-based cases of an earlier run's store that have another mask or another label now."""

    masks: frozenset[int] = frozenset()
    labels: frozenset[int] = frozenset()

    @classmethod
    def of(cls, store: MapStore, items: Sequence[Item]) -> OtherFacts:
        """Where ``items``, all cases of ``store`` in its order, differ from what it says."""
        pairs = list(enumerate(zip(store.headers, items, strict=True)))
        return cls(
            frozenset(i for i, (h, item) in pairs if h.mask_source != _absolute(item.mask)),
            frozenset(i for i, (h, item) in pairs if h.label != storable(item.label)),
        )

    def __bool__(self) -> bool:
        return bool(self.masks or self.labels)

    def notes(self, again: Collection[int]) -> list[str]:
        """A line for people for each kind, where there are any; maps of the cases ``again`` are
        made of them."""
        lines = []
        for cases, kind in ((self.masks, "mask"), (self.labels, "label")):
            if cases:
                subject = "1 input has" if len(cases) == 1 else f"{len(cases)} inputs have"
                kept = "run again" if cases <= set(again) else "noted in the store, maps are kept"
                lines.append(f"{subject} another {kind} than before: {kept}")
        return lines


def earlier_store(
    path: Path, attrs: MapAttrs, items: Sequence[Item], identity: Identity, overwrite: bool
) -> MapStore | None:
    """The store of an earlier run of the same job; None for none, or one that is to be replaced.

    It may say other masks and labels of its cases: :class:`OtherFacts`.
    """
    if not path.exists() or overwrite:
        return None
    store = MapStore.open(path)
    if store.attrs.sha256 in (attrs.sha256, _earlier_identity(store, items, identity)):
        for rule in READING_RULES & attrs.settings.keys():
            store.set_rule(rule, attrs.settings[rule])
        return store
    raise InputError(
        f"{path} was made with other images, weights or settings "
        f"({_difference(store, attrs, items)}); give another "
        "--output-dir, or --overwrite to replace it"
    )


def _earlier_identity(store: MapStore, items: Sequence[Item], identity: Identity) -> str:
    """The fingerprint of a run of ``items`` with the masks and labels that ``store`` has."""
    if len(store) != len(items):
        return ""
    pairs = zip(items, store.headers, strict=True)
    return identity([replace(item, mask=h.mask_source, label=h.label) for item, h in pairs])


def open_or_create(
    path: Path,
    attrs: MapAttrs,
    items: Sequence[Item],
    identity: Identity,
    table: SliceTable | None,
    batch_size: int,
    overwrite: bool,
) -> MapStore:
    """The store of an earlier run of the same job, or a new one."""
    store = earlier_store(path, attrs, items, identity, overwrite)
    if store is not None:
        return store
    if path.exists() or path.is_symlink():
        remove(path)
    remove_partial(path)
    return create_maps(path, attrs, items, batch_size, table)


def with_facts(store: MapStore, items: Sequence[Item], sha256: str) -> MapStore:
    """The store with the masks and labels of ``items``, as that of the run ``sha256``.

    What was reopened is open on the disk first, and the columns come last: after a kill in between
    the next run does the same.
    """
    store.write_reopened()
    write_identity(store.path, sha256)
    write_masks_and_labels(store.path, as_path(store.attrs.root), items)
    return MapStore.open(store.path)


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()


def _difference(store: MapStore, new: MapAttrs, items: Sequence[Item]) -> str:
    """In what a store differs from the one that would be made now."""
    old = store.attrs
    pairs: list[tuple[str, Any, Any]] = [
        ("model", old.model, new.model),
        ("checkpoint", old.checkpoint, new.checkpoint),
        ("images", len(store), len(items)),
        ("folder", old.root, new.root),
        ("schema", old.schema, new.schema),
    ]
    for name in ("preprocessing", "settings"):
        before, now = dict(getattr(old, name)), json.loads(json.dumps(getattr(new, name)))
        keys = [key for key in {**now, **before} if key not in {"map_images", *READING_RULES}]
        pairs += [(key, before.get(key), now.get(key)) for key in keys]
    return "; ".join(differences(pairs)) or "other files"
