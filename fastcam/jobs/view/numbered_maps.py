"""The maps of a store as the room numbers and calls them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fastcam.errors import CaseError
from fastcam.store.map_rows import MapRow
from fastcam.store.maps import MapStore


def row_of(store: MapStore, rows: Sequence[MapRow], number: int, head: int | None) -> MapRow:
    """The map of a number, from 0, and head. CaseError where there is none."""
    if not 0 <= number < len(rows):
        raise CaseError(f"has no map {number}")
    row = rows[number]
    if head is None:
        return row
    if not 0 <= head < head_count(store, row):
        raise CaseError(f"has no head {head} in {row.caption}")
    return replace(row, head=head, caption=f"{name_of(row)} · head {head}")


def name_of(row: MapRow, output: str = "") -> str:
    """What a map is called: method and layer, and the target where there are several: the
    ``output`` that it explains of every image, or which of an image's own it is."""
    name = row.caption.removesuffix(" · mean of heads")
    if row.target is None:
        return name
    return f"{name} · target {output}" if output else f"{name} · target {row.target + 1} of each"


def head_count(store: MapStore, row: MapRow) -> int:
    """How many heads of attention a map has; 0 where there is no choice."""
    if row.layer is None:
        return 0
    count = store.shape(row.array)[1]
    return count if count > 1 else 0
