"""One work item, from its sources to files on disk. Runs inside a worker; knows no Dask."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from fastcam.errors import CaseError
from fastcam.figures import layout
from fastcam.figures.buffers import Buffers
from fastcam.figures.files import WRITE_BATCH, WriteBatch
from fastcam.figures.patch_scales import CaseScale, case_scale
from fastcam.figures.patch_sheets import RenderStyle, render_style_of, patch_sheet
from fastcam.jobs.render.patches.case import OpenCase, cut_slice, open_case
from fastcam.jobs.render.patches.summary import summary_text
from fastcam.options import Mode, Sources, Style
from fastcam.read.results.case import Case
from fastcam.run import file_names
from fastcam.run.files import make_folder, write_text
from fastcam.run.recent import Recent
from fastcam.run.records import FigureRecord, ItemResult, Failure, attempt
from fastcam.run.work_items import CaseSlices, WorkItem
from fastcam.store.patches import RunStore, open_store


@dataclass(frozen=True)
class Job:
    """All that a worker needs besides the item; small, it travels with every task."""

    store_path: Path
    store_created: str
    output_dir: Path
    sources: Sources
    style: Style
    mode: Mode
    characters: str
    fonts: tuple[Path, ...]
    cohort_high: float = 0.0

    @property
    def store(self) -> RunStore:
        """The run store, opened once in each process."""
        return _opened_store(self.store_path, self.store_created)


@lru_cache(maxsize=2)
def _opened_store(path: Path, created: str) -> RunStore:
    # `created` is there so that a store which was made anew is opened anew.
    return open_store(path)


_buffers = Buffers()
_write_buffers = tuple(Buffers() for _ in range(WRITE_BATCH))
_recent: Recent[tuple[OpenCase, CaseScale]] = Recent()


def render_item(job: Job, item: WorkItem) -> ItemResult:
    """Draw and write all figures of an item. One bad case or slice costs only its own figures.

    Raises :class:`OutputError` when a file can't be written: that ends the job.
    """
    drawn: list[FigureRecord] = []
    failures: list[Failure] = []
    for portion in item:
        _render_portion(job, portion, drawn, failures)
    return ItemResult(tuple(drawn), tuple(failures))


def _render_portion(
    job: Job, portion: CaseSlices, drawn: list[FigureRecord], failures: list[Failure]
) -> None:
    header = job.store.cases[portion.case]
    reason = attempt(partial(_draw_case, job, portion, drawn, failures))
    if reason:
        done = {record.slice for record in drawn if record.place == header.place}
        left = len([index for index in portion.slices if index not in done])
        failures.append(Failure("error", header.place, header.name, None, left, reason))


def _draw_case(
    job: Job, portion: CaseSlices, drawn: list[FigureRecord], failures: list[Failure]
) -> None:
    opened, scale = _recent.get((job, portion.case), partial(_open, job, portion))
    case = opened.case
    if opened.warning:
        failures.append(Failure("warning", case.place, case.name, None, 0, opened.warning))
    shown = opened.display.size(opened.height, opened.width)
    side = max(layout.enlarged(*shown, job.style.panel_size))
    render_style = render_style_of(job.style, job.characters, job.fonts, side)
    if job.mode == "all_slices":
        make_folder(job.output_dir / file_names.case_folder(case))
    write_batch = WriteBatch(_write_buffers)
    for index in portion.slices:
        reason = attempt(
            partial(_draw_slice, job, opened, scale, render_style, index, write_batch, drawn)
        )
        if reason:
            failures.append(Failure("error", case.place, case.name, index, 1, reason))
    write_batch.finish()
    if portion.summary:
        drawn.append(_write_summary(job, case))


def _open(job: Job, portion: CaseSlices) -> tuple[OpenCase, CaseScale]:
    case = job.store.case(portion.case)
    if portion.image is None:
        raise CaseError(portion.image_missing)
    opened = open_case(case, portion.image, portion.mask, portion.mask_missing, job.sources)
    scale = case_scale(case, job.style.scale, opened.height, opened.width, job.cohort_high)
    return opened, scale


def _draw_slice(
    job: Job,
    opened: OpenCase,
    scale: CaseScale,
    render_style: RenderStyle,
    index: int,
    write_batch: WriteBatch,
    drawn: list[FigureRecord],
) -> None:
    case = opened.case
    picture = cut_slice(opened, index, _buffers)
    sheet, (low, high) = patch_sheet(case, index, picture, scale, render_style, _buffers)
    path_of = file_names.slice_path if job.mode == "all_slices" else file_names.best_slice_path
    path = path_of(case, index, job.style.format)
    best = index == case.best_slice
    average = case.slice_averages.get(index, 0.0)
    record = FigureRecord(path, case.place, case.name, index, best, average, low, high)
    write_batch.put(
        job.output_dir / path, sheet, render_style, job.style.format, partial(drawn.append, record)
    )


def _write_summary(job: Job, case: Case) -> FigureRecord:
    path = file_names.summary_path(case)
    write_text(job.output_dir / path, summary_text(case, job.style.language))
    return FigureRecord(path, case.place, case.name, None, False, 0.0, 0.0, 0.0)
