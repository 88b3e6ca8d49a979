"""A few slices of volumes as images of their own, with the pictures that figures show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fastcam.errors import CaseError
from fastcam.inference.images import InputPicture, VolumeView
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.model_input import prepare_planes
from fastcam.read.inputs.preprocessing import Preprocessing
from fastcam.read.inputs.slicing import SliceTable, Slicing, unknown_slices
from fastcam.read.inputs.volume_slices import VolumeChoice, open_slices
from fastcam.read.volumes.orientation import for_display


def slice_items(items: Sequence[Item], table: SliceTable) -> list[Item]:
    """An item for each row of ``table``: ``<id>_slice042``, the slice as its figures call it."""
    return [
        replace(items[case], id=f"{items[case].id}_slice{max(0, index):03d}")
        for case, index in zip(table.cases.tolist(), table.index.tolist(), strict=True)
    ]


def read_slices(
    items: Sequence[Item],
    table: SliceTable,
    slicing: Slicing,
    preprocessing: Preprocessing,
    view: VolumeView,
) -> tuple[dict[int, InputPicture], dict[int, str]]:
    """By row of ``table`` the slices that can be read, and the reasons why the others can't.

    ``items`` are the volumes; each is decoded once.
    """
    pictures: dict[int, InputPicture] = {}
    reasons: dict[int, str] = {}
    for case, item in enumerate(items):
        rows = table.rows(case)
        try:
            pictures |= _read_case(item, case, table, slicing, preprocessing, view)
        except CaseError as error:
            reasons |= dict.fromkeys(rows, str(error))
    return pictures, reasons


def _read_case(
    item: Item,
    case: int,
    table: SliceTable,
    slicing: Slicing,
    preprocessing: Preprocessing,
    view: VolumeView,
) -> dict[int, InputPicture]:
    rows, axis = table.rows(case), int(table.axis[case])
    if table.index[rows.start] < 0:
        raise unknown_slices(item.source, slicing, view.axes, view.volume)
    choice = VolumeChoice(view.axes, view.volume)
    volume = open_slices(item.source, axis, slicing, preprocessing, choice)
    display = for_display(volume.volume.affine)
    pictures = {}
    for row in rows:
        index = int(table.index[row])
        pictures[row] = InputPicture(
            prepare_planes(volume.planes(index), preprocessing),
            volume.picture(index, (view.show_channel or 1) - 1),
            display,
        )
    return pictures
