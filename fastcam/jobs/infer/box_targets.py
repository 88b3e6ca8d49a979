"""Targets of detectors in ``fastcam infer``: what they don't go with, and images without a box."""

from __future__ import annotations

from fastcam.attribution.detection import NO_BOX
from fastcam.errors import InputError
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
