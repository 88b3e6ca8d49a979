"""One work item, from its sources to files on disk. Runs inside a worker; knows no Dask."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from fastcam.errors import CaseError
from fastcam.figures import layout
from fastcam.figures.buffers import Buffers
from fastcam.figures.files import PILE, Pile
from fastcam.figures.patch_scales import CaseScale, case_scale
from fastcam.figures.patch_sheets import Look, look_of, patch_sheet
from fastcam.jobs.render.patches.case import OpenCase, cut_slice, open_case
from fastcam.jobs.render.patches.summary import summary_text
from fastcam.options import Mode, Sources, Style
from fastcam.read.results.case import Case
from fastcam.run import file_names
from fastcam.run.files import make_folder, write_text
from fastcam.run.recent import Recent
from fastcam.run.records import Drawn, ItemResult, Trouble, attempt
from fastcam.run.work_items import Portion, WorkItem
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
_desks = tuple(Buffers() for _ in range(PILE))
_recent: Recent[tuple[OpenCase, CaseScale]] = Recent()


def render_item(job: Job, item: WorkItem) -> ItemResult:
    """Draw and write all figures of an item. One bad case or slice costs only its own figures.

    Raises :class:`OutputError` when a file can't be written: that ends the job.
    """
    drawn: list[Drawn] = []
    troubles: list[Trouble] = []
    for portion in item:
        _render_portion(job, portion, drawn, troubles)
    return ItemResult(tuple(drawn), tuple(troubles))


def _render_portion(
    job: Job, portion: Portion, drawn: list[Drawn], troubles: list[Trouble]
) -> None:
    header = job.store.cases[portion.case]
    reason = attempt(partial(_draw_case, job, portion, drawn, troubles))
    if reason:
        done = {record.slice for record in drawn if record.place == header.place}
        left = len([index for index in portion.slices if index not in done])
        troubles.append(Trouble("error", header.place, header.name, None, left, reason))


def _draw_case(job: Job, portion: Portion, drawn: list[Drawn], troubles: list[Trouble]) -> None:
    opened, scale = _recent.get((job, portion.case), partial(_open, job, portion))
    case = opened.case
    if opened.warning:
        troubles.append(Trouble("warning", case.place, case.name, None, 0, opened.warning))
    shown = opened.display.size(opened.height, opened.width)
    side = max(layout.enlarged(*shown, job.style.panel_size))
    look = look_of(job.style, job.characters, job.fonts, side)
    if job.mode == "all_slices":
        make_folder(job.output_dir / file_names.case_folder(case))
    pile = Pile(_desks)
    for index in portion.slices:
        reason = attempt(partial(_draw_slice, job, opened, scale, look, index, pile, drawn))
        if reason:
            troubles.append(Trouble("error", case.place, case.name, index, 1, reason))
    pile.finish()
    if portion.summary:
        drawn.append(_write_summary(job, case))


def _open(job: Job, portion: Portion) -> tuple[OpenCase, CaseScale]:
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
    look: Look,
    index: int,
    pile: Pile,
    drawn: list[Drawn],
) -> None:
    case = opened.case
    picture = cut_slice(opened, index, _buffers)
    sheet, (low, high) = patch_sheet(case, index, picture, scale, look, _buffers)
    path_of = file_names.slice_path if job.mode == "all_slices" else file_names.best_slice_path
    path = path_of(case, index, job.style.format)
    best = index == case.best_slice
    average = case.slice_averages.get(index, 0.0)
    record = Drawn(path, case.place, case.name, index, best, average, low, high)
    pile.put(job.output_dir / path, sheet, look, job.style.format, partial(drawn.append, record))


def _write_summary(job: Job, case: Case) -> Drawn:
    path = file_names.summary_path(case)
    write_text(job.output_dir / path, summary_text(case, job.style.language))
    return Drawn(path, case.place, case.name, None, False, 0.0, 0.0, 0.0)
