"""What ``fastcam render`` does for patch attention: a results file, or a run store made of one."""

from __future__ import annotations

import stat
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcam.errors import InputError
from fastcam.figures import fonts, lettering
from fastcam.jobs.render.patches.item import Job, render_item
from fastcam.jobs.render.patches.measure import measure_item, peak_item
from fastcam.jobs.render.patches.plan import locate, plan_drawing
from fastcam.jobs.render.patches.statistics_files import write_statistics
from fastcam.jobs.render.plan import DrawPlan
from fastcam.options import Selection, Sources, Style, style_fingerprint
from fastcam.read.results.results import Results, file_sha256, read_results
from fastcam.read.volumes.frames import parse_frame, parse_slices
from fastcam.read.volumes.sources import SourceIndex
from fastcam.report.statistics import CaseStatistics
from fastcam.run import scheduler
from fastcam.run import work_items as plan
from fastcam.run.file_names import Named
from fastcam.run.folder import STORE, RunFolder
from fastcam.run.progress import Progress
from fastcam.run.records import ItemResult, Failure
from fastcam.run.work_items import CaseSlices, WorkItem
from fastcam.store.patches import RunStore, create_from_results, open_store

if TYPE_CHECKING:
    from distributed import Client


class PatchJob:
    """The figures of patch attention; each method is a stage of the job, in their order.

    Raises :class:`InputError` where an input is unusable, before anything is written.
    """

    def __init__(
        self,
        results: Path,
        output_dir: Path,
        sources: Sources,
        style: Style,
        selection: Selection,
        statistics: bool,
    ) -> None:
        self.results, self.output_dir = results, output_dir
        self.sources, self.style, self.selection = sources, style, selection
        self._statistics = statistics
        parse_frame(sources.frame)
        parse_slices(sources.slices)
        check_results(results)
        mask_dir = sources.mask_dir
        self._masks = SourceIndex(mask_dir, mask=True) if mask_dir is not None else None
        if sources.root_dir is None:
            raise InputError(
                f"{results} doesn't say where its images are: give --root-dir, the folder with a "
                "volume or folder for each case"
            )
        self._images = SourceIndex(sources.root_dir)
        self._identity = ""
        self._content: RunStore | Results
        self._chosen: list[int] = []
        self._located: list[CaseSlices] = []
        self._job: Job
        self.store: RunStore | None = None

    def read(self, overwrite: bool) -> None:
        """Read the run store given, or the one in the output folder, or the results file."""
        stored = self.results.is_dir()
        self._identity = (
            open_store(self.results).attrs.sha256 if stored else file_sha256(self.results)
        )
        kept = self.output_dir / STORE
        self._content = _read(self.results, kept, self._identity, overwrite)
        content = self._content
        self._chosen = plan.select(content.cases, self.selection, content.rejected)

    def looks(self) -> dict[str, Any]:
        """The settings that decide how the figures look."""
        return style_fingerprint(self._identity, self.sources, self.style)

    def import_into(self, folder: RunFolder) -> Iterator[Failure]:
        """Make the run store of what was read; what was odd about the chosen cases."""
        content = self._content
        if isinstance(content, RunStore):
            store = content
        else:
            # One of other results is in the way no longer.
            folder.remove_store()
            store = create_from_results(folder.path / STORE, content)
        self.store = store
        if not self.selection.patients:
            for r in store.rejected:
                yield Failure("error", r.place, r.name, None, 0, r.reason)
        places = {store.cases[index].place for index in self._chosen}
        for w in store.warnings:
            if w.place in places:
                yield Failure("warning", w.place, w.name, None, 0, w.reason)

    def plan(self, finished: Container[str]) -> DrawPlan:
        """What is left to draw."""
        store = self._there
        self._located = locate(store, self._chosen, self._images, self._masks)
        characters = lettering.alphabet(header.name for header in store.cases)
        self._job = Job(
            store.path.resolve(),
            store.attrs.created,
            self.output_dir.resolve(),
            self.sources,
            self.style,
            self.selection.mode,
            characters,
            fonts.chain(characters, self.style.font),
        )
        return plan_drawing(
            store, self._located, self.selection, self.sources, self.style, finished
        )

    @property
    def available(self) -> Sequence[Named]:
        """Every case of the store."""
        return self._there.cases

    @property
    def cases(self) -> int:
        """How many were chosen."""
        return len(self._located)

    @property
    def measured(self) -> Sequence[CaseSlices]:
        """The cases whose statistics were asked for."""
        return self._located if self._statistics else ()

    def find_cohort(self, client: Client) -> None:
        """The highest heat over all cases of the store, whatever is selected for drawing."""
        everything = locate(self._there, range(len(self._there.cases)), self._images, None)
        items = plan.batches(everything, plan.ITEM_FIGURES)
        highs = scheduler.run(client, partial(peak_item, self._job), items)
        self._job = replace(self._job, cohort_high=max(high for _, high in highs))

    @property
    def drawer(self) -> Callable[[WorkItem], ItemResult]:
        """Draws a work item, in a worker."""
        return partial(render_item, self._job)

    def measure(self, client: Client, progress: Progress) -> list[Path]:
        """Write the statistics of the measured cases; the files."""
        items = plan.batches(self.measured, plan.ITEM_CASES)
        rows: list[CaseStatistics] = []
        progress.begin("cases measured", len(self.measured))
        try:
            for item, found in scheduler.run(client, partial(measure_item, self._job), items):
                rows += found
                progress.advance(len(item))
        finally:
            progress.end()
        rows.sort(key=lambda row: row.place)
        return write_statistics(self._job.output_dir, rows)

    @property
    def _there(self) -> RunStore:
        if self.store is None:
            raise RuntimeError("nothing was imported yet")
        return self.store


def check_results(results: Path) -> None:
    """InputError unless there is a file or folder that can be asked what it holds."""
    wanted = "give a results file (.pkl, .npz, .json) or a run store (.zarr)"
    try:
        mode = results.stat().st_mode
    except FileNotFoundError as error:
        raise InputError(f"{results}: no such file; {wanted}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{results}: can't be read: {reason}; {wanted}") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(f"{results}: is no regular file; {wanted}")


def _read(results: Path, kept: Path, identity: str, overwrite: bool) -> RunStore | Results:
    """The run store given, or the one ``kept`` in the output folder, or the results file."""
    if results.is_dir():
        return open_store(results)
    if kept.exists():
        try:
            store = open_store(kept)
            if store.attrs.sha256 == identity:
                return store
            if not overwrite:
                raise InputError(
                    f"{kept} was made from another results file than {results}; give another "
                    f"--output-dir, or --overwrite to replace it"
                )
        except InputError:
            if not overwrite:
                raise
    return read_results(results)
