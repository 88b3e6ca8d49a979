"""A case with its volume and mask, read and checked against each other, ready to be cut."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from fastcam_kernels.grey import to_grey
from fastcam_kernels.turn import turned_grey, turned_mask
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.figures.buffers import Buffers
from fastcam.figures.patch_figure import SlicePatches, SlicePicture, slice_patches
from fastcam.figures.slice_facts import SliceFacts
from fastcam.figures.slice_geometry import NO_GEOMETRY, SliceGeometry, slice_geometry
from fastcam.jobs.render.display import display_of, flips_of, open_mask
from fastcam.options import Sources
from fastcam.read.inputs.grey_levels import GreyLevels
from fastcam.read.results.case import Case
from fastcam.read.volumes import frames, masks, orientation, volumes
from fastcam.read.volumes.named_windows import window_warning
from fastcam.read.volumes.voxels import Volume
from fastcam.storage.locations import as_path

_DIMMED = "dimmed outside the crop"
_NONE = slice_patches(np.zeros((0, 4), np.int32), np.zeros(0, np.float32), 0, 0)


@dataclass(frozen=True, kw_only=True)
class OpenCase:
    """One case and all that is needed to cut any of its slices out.

    Attributes:
        case: the predictions and the patches.
        volume: the voxels and their window.
        mask: which voxels lie inside; None where there is no mask, or none that can be read.
        mask_notice: what stands in the mask's panel where there is none.
        warnings: what is odd about the volume, its mask and the boxes, and why there is no mask,
            if one was wanted.
        first: the volume's slice that ``slice_idx`` 0 means.
        count: number of slices that ``slice_idx`` counts.
        crop: side in pixels of the crop around the mask that boxes were made on; None for none.
        frame: from a slice of the volume to the picture that boxes were made on.
        display: from that picture, cropped, to what is shown.
        height: rows of the picture that boxes were made on, cropped.
        width: columns of the same.
        left_side: the letter of the patient's side at the left edge, where it is known.
        window: (low, high), the voxels that are shown black and white.
        geometry: what is known of its slices; nothing where they are cropped.
    """

    case: Case
    volume: Volume
    mask: masks.Mask | None
    mask_notice: str
    warnings: tuple[str, ...]
    first: int
    count: int
    crop: int | None
    frame: orientation.Orientation
    display: orientation.Orientation
    height: int
    width: int
    left_side: str = ""
    window: tuple[float, float] = (0.0, 255.0)
    geometry: SliceGeometry = NO_GEOMETRY

    # What all slices of a case share is computed once: 0.15 ms a figure.

    @cached_property
    def patches(self) -> dict[int, SlicePatches]:
        """The patches of each slice that holds any, as they lie on what is shown."""
        boxes = np.ascontiguousarray(self.display.boxes(self.case.boxes, self.height, self.width))
        return {
            index: slice_patches(boxes[members], self.case.weights[members], *self.shown_size)
            for index, members in self.case.members.items()
        }

    @cached_property
    def shown_size(self) -> tuple[int, int]:
        """(height, width) of what is shown."""
        return self.display.size(self.height, self.width)

    @cached_property
    def turning(self) -> orientation.Orientation:
        """From a slice of the volume to what is shown; cropped pictures are turned before."""
        return self.display if self.crop is not None else self.frame.then(self.display)


def open_case(case: Case, image: str, mask: str | None, missing: str, sources: Sources) -> OpenCase:
    """Read a case's volume and mask; ``missing`` is why there is no ``mask``, if one was wanted.

    Raises :class:`CaseError` when the volume can't be read or doesn't fit the case's patches. A
    mask that can't be read is a warning, unless the frame is cut around it.
    """
    volume = volumes.open_volume(as_path(image), sources.axes, volume=sources.volume)
    numbering = frames.parse_slices(sources.slices)
    depth = volume.voxels.shape[0]
    first, count = numbering.first(depth), numbering.length(depth)
    frame = orientation.for_frame(sources.axes)
    height, width = frame.size(*volume.voxels.shape[1:])
    crop = frames.parse_frame(sources.frame).crop
    if crop is not None:
        height = width = crop
    _check_slices(case, image, count, sources)
    _check_boxes(case, image, height, width)
    opened_mask, warnings = open_mask(mask, missing, volume.grid, sources.axes)
    if crop is not None and opened_mask is None:
        reason = "".join(warnings)
        raise CaseError(f"frame {sources.frame} needs the mask of this case: {reason}")
    display = display_of(volume.affine, sources.orient)
    window = volume.window
    if sources.window is not None:
        window = GreyLevels(window_level=sources.window).window(volume)
    geometry = SliceGeometry(SliceFacts(depth=count))
    if crop is None:
        geometry = slice_geometry(volume, display.orientation, window, count)
    notice = ""
    if sources.mask_dir is not None and opened_mask is None:
        notice = "no mask found" if mask is None else "mask not usable"
    return OpenCase(
        case=case,
        volume=volume,
        mask=opened_mask,
        mask_notice=notice,
        warnings=(
            *volume.warnings,
            *window_warning(sources.window, volume.modality, image),
            *warnings,
            *_sticking_out(case, height, width, sources),
        ),
        first=first,
        count=count,
        crop=crop,
        frame=frame,
        display=frame.inverse.then(display.orientation),
        height=height,
        width=width,
        left_side=display.left_side,
        window=window,
        geometry=geometry,
    )


def cut_slice(
    case_data: OpenCase,
    index: int,
    buffers: Buffers | None = None,
    surroundings: bool = False,
) -> SlicePicture:
    """One slice in its frame, turned for display: grey picture, mask and patches.

    With ``buffers`` the pictures are theirs, and the next slice cut with them overwrites these.
    ``surroundings``: a crop shows what lies around it dimmed, in place of the model's padding.
    """
    z = case_data.first + index
    layer, window = case_data.volume.voxels[z], case_data.window
    mask = None if case_data.mask is None else case_data.mask.slice(z)
    if case_data.crop is not None and mask is not None:
        mask = case_data.frame.apply(mask)
        crop = frames.plan_crop(mask, *_size(mask), case_data.crop)
        cut = crop.with_surroundings if surroundings else crop.apply
        layer = np.rint(cut(to_grey(case_data.frame.apply(layer), *window))).astype(np.uint8)
        mask, window = crop.apply_mask(mask), (0.0, 255.0)
    buffers, shape = buffers or Buffers(), case_data.shown_size
    flips = flips_of(case_data.turning)
    grey = turned_grey(layer, window, flips, buffers.take("grey", shape, np.uint8))
    if mask is not None:
        mask = turned_mask(mask, flips, buffers.take("mask", shape, np.uint8))
    patches = case_data.patches.get(index, _NONE)
    facts = case_data.geometry.of(index, z)
    note = _DIMMED if surroundings and case_data.crop is not None else ""
    return SlicePicture(
        grey, mask, case_data.mask_notice, patches, case_data.left_side, facts, note
    )


def _size(picture: NDArray[Any]) -> tuple[int, int]:
    height, width = picture.shape
    return height, width


def _check_slices(case: Case, image: str, count: int, sources: Sources) -> None:
    beyond = np.flatnonzero(case.slices >= count)
    if len(beyond):
        position = int(beyond[0])
        counted = "" if sources.slices == "all" else f" with --slices {sources.slices}"
        raise CaseError(
            f"position {position}: slice_idx {case.slices[position]} is past the {count} slices of "
            f"{image}{counted}; check --slices, and that this is the volume the model saw"
        )


def _check_boxes(case: Case, image: str, height: int, width: int) -> None:
    x1, y1, x2, y2 = case.boxes.T
    outside = np.flatnonzero((x1 >= width) | (y1 >= height) | (x2 <= 0) | (y2 <= 0))
    if len(outside):
        position = int(outside[0])
        raise CaseError(
            f"position {position}: bbox {tuple(case.boxes[position].tolist())} lies wholly outside "
            f"the {width}x{height} pixels of {image}; check --frame and --axes"
        )


def _sticking_out(case: Case, height: int, width: int, sources: Sources) -> tuple[str, ...]:
    """A warning that counts the boxes that lie partly outside the picture they were made on."""
    x1, y1, x2, y2 = case.boxes.T
    count = np.count_nonzero((x1 < 0) | (y1 < 0) | (x2 > width) | (y2 > height))
    if not count:
        return ()
    boxes = "boxes stick" if count > 1 else "box sticks"
    return (
        f"{count} of {len(case.boxes)} {boxes} out of the {width}x{height} pixels of --frame "
        f"{sources.frame} --axes {sources.axes}; what sticks out is not drawn",
    )
