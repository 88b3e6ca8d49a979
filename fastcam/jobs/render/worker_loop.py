"""One work item: its cases are opened, their figures drawn and written. Runs inside a worker.

Attention of patches, maps and analyses differ in what a case is and in what its figures show; the
loop over cases and figures is the same. It knows no Dask.
"""

from __future__ import annotations

import multiprocessing
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

from fastcam.figures.buffers import Buffers
from fastcam.figures.figure_parts import Sheet
from fastcam.figures.panel_places import panel_places
from fastcam.figures.png_writer import WRITE_BATCH, WriteBatch
from fastcam.figures.render_style import RenderStyle
from fastcam.jobs.render.read_ahead import ReadAhead
from fastcam.options import PictureFormat
from fastcam.run.cgroups import cores
from fastcam.run.file_names import NumberedCase
from fastcam.run.files import write_text
from fastcam.run.input_files import InputRecord, input_record, no_mask
from fastcam.run.records import Failure, FigureRecord, ItemResult, attempt
from fastcam.run.work_items import CaseSlices, WorkItem
from fastcam.storage.fetched_ahead import fetched_ahead
from fastcam.storage.locations import as_path

_buffers = tuple(Buffers() for _ in range(WRITE_BATCH))
_ahead = ReadAhead()


@dataclass(frozen=True, eq=False)
class CaseFigure:
    """A figure that is ready to be drawn.

    Attributes:
        sheet: its panels and texts.
        render_style: glyphs and color tables for it.
        record: what is listed of its file, the path included.
    """

    sheet: Sheet
    render_style: RenderStyle
    record: FigureRecord


@dataclass(frozen=True)
class Summary:
    """The text beside a case's figures, and what is listed of its file."""

    text: str
    record: FigureRecord


class CaseFigures(ABC):
    """An opened case, whose figures are made one by one."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the case though it can be drawn."""
        return ()

    @property
    def held_bytes(self) -> int:
        """Memory that the case takes while it is open, as far as it counts."""
        return 0

    @abstractmethod
    def figure(self, index: int) -> CaseFigure:
        """The figure of slice ``index``, or by whatever else the case counts its figures."""

    def slice_of(self, index: int) -> int | None:
        """The slice that a failure of figure ``index`` names; None where there are no slices."""
        return index

    def summary(self) -> Summary | None:
        """The text beside the figures, if there is one."""
        return None


class ItemCases(Protocol):
    """The cases of one kind of store, as far as drawing them goes."""

    @property
    def output_dir(self) -> Path:
        """The folder that the records' paths are relative to."""

    @property
    def format(self) -> PictureFormat:
        """The format of the figures."""

    def header(self, case: int) -> NumberedCase:
        """Number and name of a case, which counts from 0 in the store."""

    def open(self, case_slices: CaseSlices) -> CaseFigures:
        """Open a case. CaseError where it can't be drawn at all."""


def draw_item(
    cases: ItemCases, item: WorkItem, open_ahead: Callable[[CaseSlices], object] | None = None
) -> ItemResult:
    """Draw and write the figures of an item. One bad case or figure costs only its own figures.

    ``open_ahead`` opens a case that ``cases`` will be asked for next; where a core is left, it is
    called in a thread of its own meanwhile. ``cases`` must be hashable then.
    Raises :class:`OutputError` when a file can't be written: that ends the job.
    """
    with fetched_ahead(path for case_slices in item for path in _inputs(case_slices)):
        return _draw_cases(cases, item, open_ahead if _has_core_to_spare() else None)


def _draw_cases(
    cases: ItemCases, item: WorkItem, open_ahead: Callable[[CaseSlices], object] | None
) -> ItemResult:
    records: list[FigureRecord] = []
    failures: list[Failure] = []
    inputs: list[InputRecord] = []
    for case_slices in item:
        header = cases.header(case_slices.case)
        before = len(records)
        files = _inputs(case_slices)
        states = _ahead.states(_key(cases, case_slices, open_ahead), files)
        with WriteBatch(_buffers, behind=_has_core_to_spare()) as write_batch:
            drawing = partial(
                _draw_case, cases, case_slices, write_batch, records, failures, open_ahead
            )
            reason = attempt(drawing)
        if reason is not None:
            slices = {record.slice for record in records[before:]}
            left = sum(index not in slices for index in case_slices.slices)
            failures.append(Failure("error", header.place, header.name, None, left, reason))
        if len(records) > before:
            input_records = map(partial(input_record, header.place), files, states)
            inputs += [record for record in input_records if record is not None]
            if case_slices.mask is None and case_slices.mask_missing:
                inputs.append(no_mask(header.place))
    return ItemResult(tuple(records), tuple(failures), tuple(inputs))


@lru_cache(maxsize=1)
def _has_core_to_spare() -> bool:
    """Whether files may be written by a thread of their own while others are drawn.

    In the one process of ``--workers 1`` on two cores or more: a figure takes 1.7 ms of the drawing
    thread instead of 3.3. Workers beside each other use the cores already, and two threads then
    take 5 % more of them than one.
    """
    return multiprocessing.parent_process() is None and cores() > 1


def _key(cases: ItemCases, case_slices: CaseSlices, open_ahead: object) -> Hashable:
    """What tells a case that may have been opened ahead from others."""
    return (cases, case_slices.case) if open_ahead is not None else object()


def _inputs(case_slices: CaseSlices) -> list[Path]:
    """The files and folders that a case's figures are made of."""
    own = (case_slices.image, case_slices.mask, *case_slices.inputs)
    return [as_path(path) for path in dict.fromkeys(own) if path is not None]


def _draw_case(
    cases: ItemCases,
    case_slices: CaseSlices,
    write_batch: WriteBatch,
    records: list[FigureRecord],
    failures: list[Failure],
    open_ahead: Callable[[CaseSlices], object] | None,
) -> None:
    case = cases.header(case_slices.case)
    figures = cases.open(case_slices)
    following = case_slices.following
    if open_ahead is not None and following is not None:
        key = _key(cases, following, open_ahead)
        opener = partial(open_ahead, following)
        _ahead.begin(key, _inputs(following), opener, figures.held_bytes)
    failures += [
        Failure("warning", case.place, case.name, None, 0, warning) for warning in figures.warnings
    ]
    for index in case_slices.slices:
        reason = attempt(partial(_draw_figure, cases, figures, index, write_batch, records))
        if reason is not None:
            at = figures.slice_of(index)
            failures.append(Failure("error", case.place, case.name, at, 1, reason))
    write_batch.finish()
    summary = figures.summary() if case_slices.summary else None
    if summary is not None:
        path = cases.output_dir / summary.record.path
        records.append(replace(summary.record, size=write_text(path, summary.text)))


def _draw_figure(
    cases: ItemCases,
    figures: CaseFigures,
    index: int,
    write_batch: WriteBatch,
    records: list[FigureRecord],
) -> None:
    figure = figures.figure(index)
    path = cases.output_dir / figure.record.path
    vector = cases.format in ("pdf", "svg")
    panels = "" if vector else panel_places(figure.sheet, figure.render_style)

    def add(size: int) -> None:
        records.append(replace(figure.record, size=size, panels=panels))

    write_batch.put(path, figure.sheet, figure.render_style, cases.format, add)
