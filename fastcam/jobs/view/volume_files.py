"""A case's volume and its heat as NIfTI files, for the view in 3-D."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from fastcam_kernels import resize
from numpy.typing import NDArray

from fastcam.errors import CaseError, InputError
from fastcam.figures.figure_parts import Panel
from fastcam.jobs.view.drawing import levels_in
from fastcam.jobs.view.opened_case import OpenedCase, panels_of
from fastcam.jobs.view.planes import Plane, position_of
from fastcam.jobs.view.query import parse_picture
from fastcam.jobs.view.room import Room

# Voxels that a browser's graphics take at once without trouble.
_MOST_VOXELS = 1 << 24


def volume_file(room: Room, query: Mapping[str, str]) -> bytes:
    """The image, or for ``what=heat`` the heat, of the map of a picture: a NIfTI file (x, y, z).

    Both are uint8: grey levels as they are windowed, and levels of the color table. Voxels are as
    slices are shown, and those of large volumes are thinned out within slices. CaseError where
    there is no whole volume.
    """
    what = query.get("what", "image")
    if what not in ("image", "heat"):
        raise InputError(f"what={what!r:.40}: use image or heat")
    asked = parse_picture(query, room.style)
    opened_case = room.open(asked.run, asked.case)
    plane = opened_case.planes[0]
    if len(opened_case.planes) < 3:
        raise CaseError("has no whole volume to be shown in 3-D")
    look = room.look(replace(asked, slot=replace(asked.slot, axis=0, index=0)))
    height, width = plane.size
    step = 1
    while plane.depth * (height // step) * (width // step) > _MOST_VOXELS:
        step += 1
    high, wide = max(1, height // step), max(1, width // step)
    voxels = np.empty((plane.depth, high, wide), np.uint8)
    for index in range(plane.depth):
        sheet = opened_case.sheet(replace(asked.slot, axis=0, index=index), look)
        voxels[index] = _layer(panels_of(sheet).get(what), high, wide)  # type: ignore[call-overload]
    # Imported here: it takes 0.3 s, with pydicom, and the first picture needs none of it.
    from nibabel.nifti1 import Nifti1Image

    image = Nifti1Image(
        voxels.transpose(2, 1, 0), _affine(opened_case, plane, height / high, width / wide)
    )
    return image.to_bytes()


def _layer(panel: Panel | None, height: int, width: int) -> NDArray[np.uint8]:
    """The levels (height, width) of a panel; 0 where there is none."""
    if panel is None:
        return np.zeros((height, width), np.uint8)
    levels = levels_in(panel) if len(panel.heat) else panel.image.mean(axis=2).astype(np.uint8)
    return resize.resize(levels, height, width, resize.NEAREST).astype(np.uint8)


def _affine(
    opened_case: OpenedCase, plane: Plane, down: float, across: float
) -> NDArray[np.float64]:
    """From the voxels (x, y, z) of what is shown, ``down`` rows and ``across`` columns each, to RAS
    millimetres; without geometry to numbers of voxels."""

    def place(index: int, x: int, y: int) -> NDArray[np.float64]:
        voxel = plane.voxel(index, x, y)
        position = position_of(opened_case.affine, voxel)
        return np.array(position if position is not None else voxel[::-1], np.float64)

    origin = place(0, 0, 0)
    affine = np.eye(4)
    affine[:3, 0] = (place(0, 1, 0) - origin) * across
    affine[:3, 1] = (place(0, 0, 1) - origin) * down
    affine[:3, 2] = place(1, 0, 0) - origin
    # The middle of the first thick voxel lies off that of the first thin one.
    affine[:3, 3] = (
        origin + affine[:3, 0] * (0.5 - 0.5 / across) + affine[:3, 1] * (0.5 - 0.5 / down)
    )
    return affine
