"""The main jobs, each readable from top to bottom."""

from __future__ import annotations

import contextlib
import platform
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from fastcam import __version__, plan, schedule
from fastcam.drawplan import locate, plan_drawing
from fastcam.errors import FastcamError, InputError
from fastcam.figures import fonts, lettering, warmup
from fastcam.jobreport import Progress, RenderReport, Silent
from fastcam.measure import measure_item, peak_item
from fastcam.plan import Portion, WorkItem
from fastcam.read.frames import parse_frame, parse_slices
from fastcam.read.results import Results, file_sha256, read_results
from fastcam.read.sources import SourceIndex
from fastcam.report.statistics import CaseStatistics
from fastcam.report.statistics_files import write_statistics
from fastcam.runfolder import STORE, RunFolder
from fastcam.runpage import PAGE, write_page
from fastcam.spec import Selection, Sources, Style, looks
from fastcam.store import RunStore, create_from_results, open_store
from fastcam.workitem import Job, Trouble, render_item

if TYPE_CHECKING:
    from distributed import Client

_LIBRARIES = ("numpy", "numba", "zarr", "dask", "distributed", "pillow", "isal", "nibabel")


def render(
    results: Path,
    output_dir: Path,
    sources: Sources,
    style: Style,
    selection: Selection,
    workers: int = 1,
    scheduler: str | None = None,
    overwrite: bool = False,
    analyze_stats: bool = False,
    progress: Progress | None = None,
) -> RenderReport:
    """Draw the figures of a results file or run store; what is finished already is kept.

    Raises :class:`InputError` before anything is written when an input is unusable, and
    :class:`OutputError` when the output can't be written. Cases that can't be drawn are in the
    report and in ``failures.csv``.
    """
    progress = progress or Silent()
    report = RenderReport(output_dir)
    images, masks = _check_inputs(results, sources)
    if scheduler is not None:
        with schedule.existing_cluster(scheduler):
            pass  # it answers and has workers: nothing is claimed or replaced before that is known
    identity = _identity(results)
    with _timed(report, "read"):
        content = _read(results, output_dir / STORE, identity, overwrite)
        chosen = plan.select(content.cases, selection, content.rejected)
    with RunFolder(output_dir, looks(identity, sources, style), overwrite) as folder:
        store = None
        try:
            with _timed(report, "import"):
                store = _import(content, folder)
                report.note(_found_on_import(store, chosen, selection))
            with _timed(report, "plan"):
                located = locate(store, chosen, images, masks)
                drawing = plan_drawing(store, located, selection, sources, style, folder.finished)
                report.take(drawing, store, len(located))
                job = _job(store, output_dir, sources, style, selection)
            if drawing.portions and warmup.needed():
                progress.note("first run: compiling the kernels, once for this installation")
                with _timed(report, "compile"):
                    warmup.warm_up()
            measured = located if analyze_stats else []
            if drawing.portions or measured:
                with _cluster(workers, scheduler, drawing.left) as client:
                    if style.scale == "cohort" and drawing.portions:
                        with _timed(report, "scale"):
                            job = replace(job, cohort_high=_cohort_high(client, job, images))
                    with _timed(report, "draw"):
                        items = plan.work_items(drawing.portions)
                        _draw(client, job, items, folder, progress, report)
                    if measured:
                        with _timed(report, "statistics"):
                            _statistics(client, job, measured, progress, report)
        except BaseException as error:
            with contextlib.suppress(FastcamError):
                stopped = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
                _finish(folder, report, style, stopped, store)
            raise
        _finish(folder, report, style, "finished", store)
    return report


def _check_inputs(results: Path, sources: Sources) -> tuple[SourceIndex, SourceIndex | None]:
    parse_frame(sources.frame)
    parse_slices(sources.slices)
    _check_results(results)
    masks = SourceIndex(sources.mask_dir, mask=True) if sources.mask_dir is not None else None
    return SourceIndex(sources.root_dir), masks


def _check_results(results: Path) -> None:
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


def _identity(results: Path) -> str:
    return open_store(results).attrs.sha256 if results.is_dir() else file_sha256(results)


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


def _import(content: RunStore | Results, folder: RunFolder) -> RunStore:
    """The run store of what was read; one of other results is in the way no longer."""
    if isinstance(content, RunStore):
        return content
    folder.remove_store()
    return create_from_results(folder.path / STORE, content)


def _found_on_import(
    store: RunStore, chosen: Sequence[int], selection: Selection
) -> Iterator[Trouble]:
    if not selection.patients:
        for r in store.rejected:
            yield Trouble("error", r.place, r.name, None, 0, r.reason)
    places = {store.cases[index].place for index in chosen}
    for w in store.warnings:
        if w.place in places:
            yield Trouble("warning", w.place, w.name, None, 0, w.reason)


def _cluster(
    workers: int, scheduler: str | None, figures: int
) -> contextlib.AbstractContextManager[Client]:
    if scheduler is not None:
        return schedule.existing_cluster(scheduler)
    return schedule.local_cluster(schedule.shape_of(workers, figures))


def _job(
    store: RunStore, output_dir: Path, sources: Sources, style: Style, selection: Selection
) -> Job:
    characters = lettering.alphabet(header.name for header in store.cases)
    extra = fonts.chain(characters, style.font)
    return Job(
        store.path.resolve(),
        store.attrs.created,
        output_dir.resolve(),
        sources,
        style,
        selection.mode,
        characters,
        extra,
    )


def _cohort_high(client: Client, job: Job, images: SourceIndex) -> float:
    """Highest heat over all cases of the store, whatever is selected for drawing."""
    everything = locate(job.store, range(len(job.store.cases)), images, None)
    items = plan.batches(everything, plan.ITEM_FIGURES)
    return max(high for _, high in schedule.run(client, partial(peak_item, job), items))


def _draw(
    client: Client,
    job: Job,
    items: list[WorkItem],
    folder: RunFolder,
    progress: Progress,
    report: RenderReport,
) -> None:
    if not items:
        return
    progress.begin("figures", sum(map(plan.figures_of, items)))
    try:
        for item, result in schedule.run(client, partial(render_item, job), items):
            folder.record(result.drawn)
            report.drawn += sum(record.slice is not None for record in result.drawn)
            report.note(result.troubles)
            progress.advance(plan.figures_of(item))
    finally:
        progress.end()


def _statistics(
    client: Client,
    job: Job,
    located: Sequence[Portion],
    progress: Progress,
    report: RenderReport,
) -> None:
    items = plan.batches(located, plan.ITEM_CASES)
    rows: list[CaseStatistics] = []
    progress.begin("cases measured", len(located))
    try:
        for item, measured in schedule.run(client, partial(measure_item, job), items):
            rows += measured
            progress.advance(len(item))
    finally:
        progress.end()
    rows.sort(key=lambda row: row.place)
    report.statistics = write_statistics(job.output_dir, rows)


@contextlib.contextmanager
def _timed(report: RenderReport, stage: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        report.seconds[stage] = round(time.perf_counter() - start, 3)


def _finish(
    folder: RunFolder, report: RenderReport, style: Style, status: str, store: RunStore | None
) -> None:
    """Leave the folder's records and its page true, also when the job was stopped midway."""
    folder.rewrite_journal()
    folder.write_failures(report.troubles, report.redone)
    folder.write_run(
        {
            "status": status,
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "fastcam": __version__,
            "python": platform.python_version(),
            "libraries": {name: _version(name) for name in _LIBRARIES},
            "counts": report.counts(),
            "seconds": report.seconds,
            "figures_per_second": round(report.figures_per_second, 1),
            "scale": {"kind": style.scale, "limits": _limits(folder, style)},
            "store": _store_said(folder, store),
        }
    )
    if store is not None:
        try:
            write_page(folder.path)
        except InputError as error:
            # The figures are done; a page can be had later, from `fastcam gallery`.
            report.note([Trouble("warning", 0, PAGE, None, 0, f"not made: {error}")])


def _store_said(folder: RunFolder, store: RunStore | None) -> str | None:
    """Where the run store is; one inside the folder moves with it."""
    if store is None:
        return None
    inside = store.path.resolve() == (folder.path / STORE).resolve()
    return STORE if inside else str(store.path.resolve())


def _limits(folder: RunFolder, style: Style) -> dict[str, list[float]]:
    """Colour limits by case; those of ``--scale slice`` are by figure, in ``figures.csv``."""
    if style.scale == "slice":
        return {}
    return {r.case: [r.low, r.high] for r in folder.finished.values() if r.slice is not None}


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"  # Pillow, where pillow-simd stands in its place
