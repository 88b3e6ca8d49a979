"""A case of patch attention that is open: its pictures and its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from fastcam_kernels import heat
from fastcam_kernels.turn import turned_grey, turned_mask
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.figures.figure_parts import Sheet
from fastcam.figures.patch_figure import (
    SlicePatches,
    SlicePicture,
    patch_sheet,
    slice_patches,
    uniform_note,
)
from fastcam.figures.patch_scales import CaseScale, case_scale
from fastcam.figures.slice_geometry import slice_geometry
from fastcam.jobs.render.patches.case import OpenCase, cut_slice
from fastcam.jobs.view.opened_case import Limits, Look, OpenedCase, Reading, Slot
from fastcam.jobs.view.planes import Plane, plane_of, position_of, raw_window
from fastcam.jobs.view.run import prepared_style
from fastcam.options import Scale
from fastcam.read.volumes import frames, orientation
from fastcam.read.volumes.geometry import Affine
from fastcam.read.volumes.masks import mask_along
from fastcam.read.volumes.slice_axis import volume_along
from fastcam.store.random_weights import RANDOM_WEIGHTS


@dataclass(frozen=True)
class _FixedScale(CaseScale):
    """A scale whose limits the reader has set."""

    low: float = 0.0

    def heat_and_limits(
        self, picture: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], tuple[float, float]]:
        """Heat as it is, on the limits."""
        return picture, (self.low, self.high)


@dataclass(frozen=True, eq=False)
class PatchCase(OpenedCase):
    """A case of patch attention with its volume.

    Attributes:
        case_data: the case as figures open it.
        turned: whether pictures are turned as radiologists expect.
        random_weights: whether the model's weights were those that it was made with.
    """

    case_data: OpenCase
    turned: bool
    random_weights: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of the volume and the mask."""
        mask = self.case_data.mask
        return self.case_data.volume.voxels.nbytes + (0 if mask is None else mask.inside.nbytes)

    @property
    def first(self) -> int:
        """The file's slice that ``slice_idx`` 0 means."""
        return self.case_data.first

    @property
    def affine(self) -> Affine | None:
        """That of the volume."""
        return self.case_data.volume.affine

    @cached_property
    def planes(self) -> Mapping[int, Plane]:
        """All three, unless boxes lie in a crop of each slice's own."""
        volume = self.case_data.volume
        depth, height, width = volume.voxels.shape
        axes = (0, 1, 2) if self.case_data.crop is None and depth > 1 else (0,)
        planes = {
            axis: plane_of((depth, height, width), volume.affine, axis, self.turned)
            for axis in axes
        }
        if self.case_data.crop is not None:
            own = planes[0]
            height, width = self.case_data.height, self.case_data.width
            planes[0] = replace(
                own,
                height=height,
                width=width,
                display=self.case_data.display,
                spacing=None,
            )
        planes[0] = replace(planes[0], depth=self.case_data.count)
        return planes

    def scale(self, kind: Scale, cohort: Limits | None = None) -> CaseScale:
        """The scale of the case's pictures."""
        if kind == "cohort" and cohort is not None:
            return CaseScale(kind, cohort[1])
        if kind not in self._scales:
            case_data = self.case_data
            self._scales[kind] = case_scale(
                case_data.case, kind, case_data.height, case_data.width, 0.0
            )
        return self._scales[kind]

    @cached_property
    def _scales(self) -> dict[Scale, CaseScale]:
        return {}

    def facts(self) -> dict[str, Any]:
        """Slices, their attention, geometry, window and warnings."""
        case_data, case = self.case_data, self.case_data.case
        volume = case_data.volume
        window = (volume.slope * edge + volume.intercept for edge in case_data.window)
        return {
            "first": case_data.first,
            "best": case.best_slice,
            "slices": {str(index): mean for index, mean in case.slice_averages.items()},
            "seen": None,
            "planes": {str(axis): plane.facts() for axis, plane in self.planes.items()},
            "window": list(window),
            "channels": 1,
            "mask": case_data.mask is not None,
            "warnings": list(case_data.warnings),
            "patches": len(case.weights),
        }

    def sheet(self, slot: Slot, look: Look) -> Sheet:
        """The figure of a slice, or of a cut through all slices."""
        picture = self._picture(slot, look)
        style = look.style if slot.axis == 0 else replace(look.style, top_k=0)
        scale = self._scale(look)
        sheet, _ = patch_sheet(
            self.case_data.case,
            slot.index,
            picture,
            scale,
            prepared_style(style, *picture.grey.shape),
        )
        return replace(sheet, note=" ".join(self.notes(slot, look)))

    def notes(self, slot: Slot, look: Look) -> tuple[str, ...]:
        """Whether the weights were random, or the attention is all but uniform."""
        even = "" if look.style.classic else uniform_note(self.case_data.case)
        return tuple(filter(None, [RANDOM_WEIGHTS if self.random_weights else "", even]))

    def _scale(self, look: Look) -> CaseScale:
        if look.limits is not None:
            low, high = look.limits
            return _FixedScale("patient", high, None, low)
        return self.scale(look.style.scale, look.cohort)

    def mask_of(self, slot: Slot) -> NDArray[np.uint8] | None:
        """The mask of a picture as it is shown."""
        return None if self.case_data.mask is None else self._picture(slot, None).mask

    def _picture(self, slot: Slot, look: Look | None) -> SlicePicture:
        plane = self.planes.get(slot.axis)
        if plane is None or not 0 <= slot.index < plane.depth:
            raise CaseError(f"has no slice {slot.index} along axis {slot.axis}")
        case_data = self.case_data
        if look is not None and look.window is not None:
            case_data = replace(case_data, window=raw_window(case_data.volume, look.window))
        if slot.axis == 0:
            surroundings = look is not None and not look.style.classic
            return cut_slice(case_data, slot.index, surroundings=surroundings)
        volume = volume_along(case_data.volume, slot.axis)
        flips = (plane.display.transpose, plane.display.flip_rows, plane.display.flip_columns)
        layer = np.ascontiguousarray(volume.voxels[slot.index])
        grey = turned_grey(layer, case_data.window, flips)
        mask = None
        if case_data.mask is not None:
            depth, height, width = case_data.volume.voxels.shape
            along = mask_along(case_data.mask, (depth, height, width), slot.axis)
            mask = turned_mask(np.ascontiguousarray(along.slice(slot.index)), flips)
        geometry = slice_geometry(volume, plane.display, case_data.window, plane.depth)
        return SlicePicture(
            grey,
            mask,
            case_data.mask_notice,
            self._patches_across(slot, plane),
            plane.letters[0],
            geometry.of(slot.index, slot.index),
        )

    def _patches_across(self, slot: Slot, plane: Plane) -> SlicePatches:
        """The patches that a plane across the slices cuts, a row or column of pixels each."""
        case_data, case = self.case_data, self.case_data.case
        boxes = case_data.frame.inverse.boxes(case.boxes, case_data.height, case_data.width)
        low, high = boxes[:, 2 - slot.axis], boxes[:, 4 - slot.axis]
        cut = (low <= slot.index) & (slot.index < high)
        other = slot.axis - 1  # x of a plane along y, y of a plane along x
        rows = case.slices[cut] + case_data.first
        across = np.stack(
            [boxes[cut, other], rows, boxes[cut, other + 2], rows + 1], axis=-1
        ).astype(np.int32)
        turned = plane.display.boxes(across, plane.height, plane.width)
        return slice_patches(np.ascontiguousarray(turned), case.weights[cut], *plane.size)

    def reading(self, slot: Slot, look: Look, across: float, down: float) -> Reading:
        """Voxel, value and attention at a place of a picture."""
        plane = self.planes[slot.axis]
        height, width = plane.size
        x, y = min(int(across * width), width - 1), min(int(down * height), height - 1)
        picture = self._picture(slot, None)
        patches = picture.patches
        values = heat.patch_heat(patches.boxes, patches.weights, height, width)
        raw = float(values[y, x])
        scaled, _ = self._scale(look).heat_and_limits(values[y : y + 1, x : x + 1])
        volume = self.case_data.volume
        voxel = self._voxel(slot, plane, x, y)
        if voxel is None:
            return Reading(heat=float(scaled[0, 0]), cell=raw)
        value = float(volume.voxels[voxel]) * volume.slope + volume.intercept
        return Reading(
            voxel=voxel,
            position=position_of(volume.affine, voxel),
            image=(value,),
            heat=float(scaled[0, 0]),
            cell=raw,
        )

    def _voxel(self, slot: Slot, plane: Plane, x: int, y: int) -> tuple[int, int, int] | None:
        case_data = self.case_data
        z = slot.index + (case_data.first if slot.axis == 0 else 0)
        if case_data.crop is None or case_data.mask is None:
            return plane.voxel(z, x, y)
        at = np.array([[x, y, x + 1, y + 1]], np.int64)
        column, row, _, _ = case_data.display.inverse.boxes(at, *plane.size)[0].tolist()
        mask = case_data.frame.apply(case_data.mask.slice(z))
        high, wide = mask.shape
        crop = frames.plan_crop(mask, high, wide, case_data.crop)
        column = int((column + 0.5) * crop.width / crop.size) - crop.left + crop.box[0]
        row = int((row + 0.5) * crop.height / crop.size) - crop.top + crop.box[1]
        if not (crop.box[0] <= column < crop.box[2] and crop.box[1] <= row < crop.box[3]):
            return None
        if case_data.frame == orientation.TRANSPOSE:
            column, row = row, column
        return z, row, column
