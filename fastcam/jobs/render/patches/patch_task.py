"""The cases of one work item of patch attention, opened to be drawn. Runs inside a worker."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

from fastcam.errors import CaseError
from fastcam.figures import layout
from fastcam.figures.buffers import Buffers
from fastcam.figures.patch_figure import patch_sheet
from fastcam.figures.patch_scales import CaseScale, case_scale
from fastcam.figures.render_style import RenderStyle, render_style_of
from fastcam.jobs.render.patches.case import OpenCase, cut_slice, open_case
from fastcam.jobs.render.patches.case_summary import summary_text
from fastcam.jobs.render.patches.frame_choice import case_evidence
from fastcam.jobs.render.patches.frame_fit import check_fit
from fastcam.jobs.render.worker_loop import (
    CaseFigure,
    CaseFigures,
    Summary,
    draw_item,
)
from fastcam.options import Mode, PictureFormat, Sources, Style
from fastcam.run import file_names
from fastcam.run.file_names import NumberedCase
from fastcam.run.files import make_folder
from fastcam.run.recent_cache import RecentCache
from fastcam.run.records import FigureRecord, ItemResult
from fastcam.run.seen_inputs import check_seen
from fastcam.run.work_items import CaseSlices, WorkItem
from fastcam.store.patches import RunStore, open_store
from fastcam.store.random_weights import RANDOM_WEIGHTS, has_random_source


@dataclass(frozen=True, kw_only=True)
class PatchTask:
    """All that a worker needs besides the item; small, it travels with every item.

    Attributes:
        store_path: the run store.
        store_created: when it was made, so that one that is made anew is opened anew.
        output_dir: the folder of the figures.
        sources: the geometry of images and masks.
        style: the look of the figures.
        mode: one figure a case, or one a slice in a folder of the case's own.
        characters: the characters beyond the basic ones that stand on figures.
        fonts: the font files that have them.
        cohort_high: the highest heat of all cases, for the scale ``cohort``.
        check_frames: whether the boxes of each case are compared with the frame.
        started: when the run began (ns), so that inputs that changed between two runs of a process
            are opened anew.
    """

    store_path: Path
    store_created: str
    output_dir: Path
    sources: Sources
    style: Style
    mode: Mode
    characters: str
    fonts: tuple[Path, ...]
    cohort_high: float = 0.0
    check_frames: bool = True
    started: int = field(default_factory=time.time_ns)

    @property
    def store(self) -> RunStore:
        """The run store, opened once in each process."""
        return _opened_store(self.store_path, self.store_created)

    @property
    def format(self) -> PictureFormat:
        """The format of the figures."""
        return self.style.format

    def header(self, case: int) -> NumberedCase:
        """Number and name of a case, which counts from 0 in the store."""
        return self.store.cases[case]

    def open(self, case_slices: CaseSlices) -> PatchFigures:
        """Open a case. CaseError where its volume can't be read or doesn't fit its patches."""
        case_data, scale = _opened_case(self, case_slices)
        if self.mode == "all_slices":
            make_folder(self.output_dir / file_names.case_folder(case_data.case))
        aspect = self.style.shown_aspect(case_data.geometry.facts.pixel_aspect)
        side = max(layout.enlarged(*case_data.shown_size, self.style.panel_size, aspect))
        render_style = render_style_of(self.style, self.characters, self.fonts, side)
        return PatchFigures(self, case_data, scale, render_style)


@dataclass(frozen=True, eq=False)
class PatchFigures(CaseFigures):
    """An opened case with the scale and the style of its figures."""

    task: PatchTask
    case_data: OpenCase
    scale: CaseScale
    render_style: RenderStyle

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about the volume and its mask, and why there is none, if one was wanted."""
        return self.case_data.warnings

    @property
    def held_bytes(self) -> int:
        """Bytes of the volume and its mask."""
        mask = self.case_data.mask
        return self.case_data.volume.voxels.nbytes + (0 if mask is None else mask.inside.nbytes)

    def figure(self, index: int) -> CaseFigure:
        """The figure of slice ``index``; draw it before the next one is made."""
        case, style = self.case_data.case, self.task.style
        picture = cut_slice(self.case_data, index, _buffers, not style.classic)
        sheet, (low, high) = patch_sheet(
            case, index, picture, self.scale, self.render_style, _buffers
        )
        if has_random_source(self.task.store.attrs.source):
            sheet = replace(sheet, note=" ".join(filter(None, [RANDOM_WEIGHTS, sheet.note])))
        all_slices = self.task.mode == "all_slices"
        path_of = file_names.slice_path if all_slices else file_names.best_slice_path
        path = path_of(case, index, style.format)
        best = index == case.best_slice
        average = case.slice_averages.get(index, 0.0)
        record = FigureRecord(
            path=path,
            place=case.place,
            case=case.name,
            slice=index,
            best=best,
            average=average,
            low=low,
            high=high,
        )
        return CaseFigure(sheet, self.render_style, record)

    def summary(self) -> Summary:
        """What was predicted, and the slices by their attention."""
        case = self.case_data.case
        path = file_names.summary_path(case)
        record = FigureRecord(path=path, place=case.place, case=case.name)
        return Summary(summary_text(case, self.task.style), record)


@lru_cache(maxsize=2)
def _opened_store(path: Path, created: str) -> RunStore:
    return open_store(path)


_buffers = Buffers()
_recent: RecentCache[tuple[OpenCase, CaseScale]] = RecentCache()


def render_item(task: PatchTask, item: WorkItem) -> ItemResult:
    """Draw and write all figures of an item: see ``worker_loop.draw_item``."""
    return draw_item(task, item, partial(_opened_case, task))


def _opened_case(task: PatchTask, case_slices: CaseSlices) -> tuple[OpenCase, CaseScale]:
    return _recent.get((task, case_slices.case), partial(_open_case, task, case_slices))


def _open_case(task: PatchTask, case_slices: CaseSlices) -> tuple[OpenCase, CaseScale]:
    case = task.store.case(case_slices.case)
    if case_slices.image is None:
        raise CaseError(case_slices.image_missing)
    check_seen(case_slices.seen)
    case_data = open_case(
        case, case_slices.image, case_slices.mask, case_slices.mask_missing, task.sources
    )
    if task.check_frames and case_data.mask is not None and case_slices.mask is not None:
        depth = len(case_data.volume.voxels)
        evidence = case_evidence(case, case_slices, task.sources, case_data.mask, depth)
        warning = "" if evidence is None else check_fit(evidence, task.sources)
        if warning:
            case_data = replace(case_data, warnings=(*case_data.warnings, warning))
    scale = case_scale(case, task.style.scale, case_data.height, case_data.width, task.cohort_high)
    return case_data, scale
