"""Targets of detectors in ``fastcam infer``: what they don't go with, and the boxes of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastcam.attribution.box_target import NO_BOX
from fastcam.errors import InputError
from fastcam.read.inputs.preprocessing import input_slices
from fastcam.read.inputs.slicing import SliceTable
from fastcam.store.maps import MapStore


def check_no_slices(table: SliceTable | None) -> None:
    """InputError where a detector would see volumes slice by slice."""
    if table is not None:
        raise InputError("--target box: is for images, not for slices of volumes")


def box_notes(store: MapStore) -> list[str]:
    """A line for each target that isn't there in some of the images; none of other stores."""
    targets = store.attrs.settings.get("boxes", ())
    rows = [header.boxes for header in store.headers if header.status == "done"]
    notes = []
    for number, target in enumerate(targets):
        missing = sum(len(boxes) > number and boxes[number, 4] == NO_BOX for boxes in rows)
        if missing:
            notes.append(
                f"--target {target}: {missing} of {len(rows)} images have no such box, and maps of "
                "0 without evidence"
            )
    return notes


def image_corners(
    corners: Sequence[float], size: Sequence[int], preprocessing: Mapping[str, Any]
) -> tuple[float, float, float, float]:
    """A box x1, y1, x2, y2, in pixels of the model's input, in those of an image of ``size``
    (h, w).

    ``preprocessing``: the fields of a ``Preprocessing``, as a store has them.
    """
    rows, columns = input_slices(size[0], size[1], preprocessing)
    high, wide = preprocessing["size"][-2:]
    down, across = (rows.stop - rows.start) / high, (columns.stop - columns.start) / wide
    x1, y1, x2, y2 = corners
    return (
        columns.start + x1 * across,
        rows.start + y1 * down,
        columns.start + x2 * across,
        rows.start + y2 * down,
    )
