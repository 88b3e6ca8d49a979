"""Patch attention in the reading room: a run store, or a results file as it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from fastcam_kernels import heat
from fastcam_kernels.turn import turned_grey, turned_mask
from numpy.typing import NDArray

from fastcam.errors import CaseError, InputError
from fastcam.figures.figure_parts import Sheet
from fastcam.figures.patch_figure import (
    SlicePatches,
    SlicePicture,
    patch_sheet,
    slice_patches,
)
from fastcam.figures.patch_scales import CaseScale, case_scale
from fastcam.jobs.render.patches.case import OpenCase, cut_slice, open_case
from fastcam.jobs.render.patches.frame_choice import FrameChoice, case_evidence, choose_frame
from fastcam.jobs.render.patches.frame_fit import check_fit
from fastcam.jobs.render.patches.measure import case_peak
from fastcam.jobs.render.patches.plan import locate
from fastcam.jobs.view.opened_case import Limits, Look, OpenedCase, Reading, Slot
from fastcam.jobs.view.planes import Plane, plane_of, position_of, raw_window
from fastcam.jobs.view.run import CaseRow, MapFacts, ViewRun, prepared_style
from fastcam.options import Scale, Sources, Style
from fastcam.read.results.case import Case, CasePrediction
from fastcam.read.results.results import Results
from fastcam.read.volumes import frames, orientation
from fastcam.read.volumes.geometry import Affine
from fastcam.read.volumes.masks import mask_along
from fastcam.read.volumes.slice_axis import volume_along
from fastcam.read.volumes.sources import SourceIndex
from fastcam.store.patches import RunStore

# Cases whose boxes are compared with their masks before the room opens; the others when opened.
_WITNESSES = 2


class PatchRun(ViewRun):
    """Patch attention, from ``content``, with the folders of its images and masks."""

    kind: Literal["patches", "maps"] = "patches"

    def __init__(
        self,
        name: str,
        path: Path,
        content: RunStore | Results,
        sources: Sources,
        style: Style | None,
        class_names: tuple[str, ...] = (),
    ) -> None:
        self.name, self.path, self.style = name, path, style
        self._class_text = Style(class_names=class_names).class_text
        self._content = content
        if sources.root_dir is None:
            raise InputError(
                f"{path} doesn't say where its images are: give --root-dir, the folder with a "
                "volume or folder for each case"
            )
        frames.parse_slices(sources.slices)
        self._images = SourceIndex(sources.root_dir)
        self._masks = None if sources.mask_dir is None else SourceIndex(sources.mask_dir, mask=True)
        # Both remember which folders they have read.
        self._finding = threading.Lock()
        self._frame = self._choose_frame(sources)
        self.notes = tuple(filter(None, (self._frame.note, self._frame.warning)))

    def _choose_frame(self, sources: Sources) -> FrameChoice:
        count = min(_WITNESSES, len(self._content.cases))
        try:
            return choose_frame(self._content, range(count), self._images, self._masks, sources)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error

    @property
    def sources(self) -> Sources:
        """The images and masks, with the frame that is used."""
        return self._frame.sources

    @cached_property
    def cases(self) -> Sequence[CaseRow]:
        """Every case that can be used, in the results' order."""
        return tuple(_row_of(case, self._class_text) for case in self._content.cases)

    @property
    def maps(self) -> Sequence[MapFacts]:
        """The attention, which is all there is."""
        return (MapFacts(name="attention"),)

    def open(self, index: int) -> PatchCase:
        """Open a case. CaseError where its volume can't be read or doesn't fit its patches."""
        case = self._case(index)
        with self._finding:
            (located,) = locate(self._content, [index], self._images, self._masks)
        if located.image is None:
            raise CaseError(located.image_missing)
        case_data = open_case(case, located.image, located.mask, located.mask_missing, self.sources)
        if self._frame.check_cases and case_data.mask is not None:
            depth = len(case_data.volume.voxels)
            evidence = case_evidence(case, located, self.sources, case_data.mask, depth)
            warning = "" if evidence is None else check_fit(evidence, self.sources)
            if warning:
                case_data = replace(case_data, warnings=(*case_data.warnings, warning))
        return PatchCase(case_data, self.sources.orient == "radiological")

    def cohort_limits(self, number: int, head: int | None, classic: bool) -> Limits:
        """0 and the highest heat of all cases, as of `fastcam render --scale cohort`; no pixel of
        a volume is read for it."""
        highest = 0.0
        for index in range(len(self.cases)):
            case = self._case(index)
            with self._finding:
                (located,) = locate(self._content, [index], self._images, None)
            highest = max(highest, case_peak(case, located.image, self.sources))
        return 0.0, highest

    def _case(self, index: int) -> Case:
        content = self._content
        return content.case(index) if isinstance(content, RunStore) else content.cases[index]


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
    """

    case_data: OpenCase
    turned: bool

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
        return sheet

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
        return SlicePicture(
            grey, mask, case_data.mask_notice, self._patches_across(slot, plane), ""
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


def _row_of(case: CasePrediction, class_text: Callable[[int], str]) -> CaseRow:
    patches = len(case.weights) if isinstance(case, Case) else getattr(case, "patches", 0)
    return CaseRow(
        id=case.name,
        label="" if case.true_label is None else class_text(case.true_label),
        prediction=class_text(case.predicted_label),
        correct=case.correct,
        confidence=case.confidence,
        numbers={
            "patches": patches,
            **{f"p{number}": share for number, share in enumerate(case.probabilities)},
        },
    )
