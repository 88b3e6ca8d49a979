"""Measuring cases inside a worker: their statistics, and their highest heat."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.figures.patch_scales import peak
from fastcam.jobs.render.patches.frame_choice import case_evidence
from fastcam.jobs.render.patches.frame_fit import check_fit
from fastcam.jobs.render.patches.patch_task import PatchTask
from fastcam.jobs.render.plan import Limits
from fastcam.options import Sources
from fastcam.read.results.case import Case
from fastcam.read.volumes import frames, masks, orientation, volumes
from fastcam.report.statistics import CaseStatistics, measure, share_inside
from fastcam.run.seen_inputs import check_seen
from fastcam.run.work_items import CaseSlices, WorkItem
from fastcam.storage.locations import as_path


def measure_item(task: PatchTask, item: WorkItem) -> list[CaseStatistics]:
    """Statistics of each case of an item; without a usable mask the share inside is unknown."""
    return [_measure(task, case_slices) for case_slices in item]


def peak_item(task: PatchTask, item: WorkItem) -> tuple[Limits]:
    """0 and the highest heat among an item's cases, over all their slices."""
    highest = 0.0
    for case_slices in item:
        case = task.store.case(case_slices.case)
        highest = max(highest, case_peak(case, case_slices.image, task.sources))
    return ((0.0, highest),)


def case_peak(case: Case, image: str | None, sources: Sources) -> float:
    """The highest heat of a case over all its slices; of ``image``, its volume, no pixel is
    read."""
    side = frames.parse_frame(sources.frame).crop
    if side is not None:
        return peak(case, side, side)
    shape = None
    if image is not None:
        with contextlib.suppress(CaseError):  # drawing lists why
            shape = volumes.volume_shape(as_path(image), sources.axes, sources.volume)
    if shape is None:
        # A case that can't be drawn still counts; its boxes are taken as they are.
        return _unclipped_peak(case)
    return peak(case, *orientation.for_frame(sources.axes).size(*shape[1:]))


def _measure(task: PatchTask, case_slices: CaseSlices) -> CaseStatistics:
    case = task.store.case(case_slices.case)
    if case_slices.mask is None or case_slices.image is None:
        return measure(case, None)
    try:
        check_seen(case_slices.seen)
        grid = volumes.volume_grid(
            as_path(case_slices.image), task.sources.axes, task.sources.volume
        )
        mask = masks.open_mask(as_path(case_slices.mask), grid, task.sources.axes)
        first = frames.parse_slices(task.sources.slices).first(grid.shape[0])
        if task.check_frames:
            evidence = case_evidence(case, case_slices, task.sources, mask, grid.shape[0])
            if evidence is not None:
                check_fit(evidence, task.sources)
        framed = partial(_framed_mask, task, mask, first)
        return measure(case, share_inside(case.boxes, case.slices, framed))
    except (CaseError, IndexError):
        return measure(case, None)  # drawing has listed why the mask or the volume is no use


def _framed_mask(task: PatchTask, mask: masks.Mask, first: int, index: int) -> NDArray[np.uint8]:
    layer = orientation.for_frame(task.sources.axes).apply(mask.slice(first + index))
    side = frames.parse_frame(task.sources.frame).crop
    if side is None:
        return layer
    height, width = layer.shape
    return frames.plan_crop(layer, height, width, side).apply_mask(layer)


def _unclipped_peak(case: Case) -> float:
    """The highest heat on slices without end.

    It depends on the order of the boxes' edges only, so these are numbered: boxes may lie
    anywhere within 32 bits.
    """
    boxes = np.empty_like(case.boxes)
    for axis in range(2):
        edges = np.unique(case.boxes[:, axis::2])
        boxes[:, axis::2] = np.searchsorted(edges, case.boxes[:, axis::2])
    _, _, right, bottom = boxes.max(axis=0).tolist()
    return peak(replace(case, boxes=boxes), bottom, right)
