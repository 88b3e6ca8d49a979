"""The main jobs, each readable from top to bottom."""

from __future__ import annotations

import contextlib
import json
import platform
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from fastcam._version import __version__
from fastcam.errors import FastcamError, InputError
from fastcam.figures import warmup
from fastcam.jobs.render.gallery import PAGE, write_page
from fastcam.jobs.render.maps.captions import Captions
from fastcam.jobs.render.maps.job import MapsJob
from fastcam.jobs.render.patches.job import PatchJob, check_results
from fastcam.jobs.render.report import RenderReport
from fastcam.options import MapChoice, Selection, Sources, Style
from fastcam.run import scheduler as schedule
from fastcam.run import work_items
from fastcam.run.folder import STORE, RunFolder
from fastcam.run.progress import Progress, Silent
from fastcam.run.records import Failure
from fastcam.run.work_items import WorkItem
from fastcam.store.maps import MapStore
from fastcam.store.open import open_store

if TYPE_CHECKING:
    from distributed import Client

_LIBRARIES = ("numpy", "numba", "zarr", "dask", "distributed", "pillow", "isal", "nibabel")


def render(
    results: Path,
    output_dir: Path,
    sources: Sources,
    style: Style,
    selection: Selection,
    choice: MapChoice | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    overwrite: bool = False,
    analyze_stats: bool = False,
    progress: Progress | None = None,
    captions: Captions | None = None,
) -> RenderReport:
    """Draw the figures of a results file or run store; what is finished already is kept.

    ``captions``: the texts of figures of maps, where they are not those of ``fastcam render``.
    Raises :class:`InputError` before anything is written when an input is unusable, and
    :class:`OutputError` when the output can't be written. Cases that can't be drawn are in the
    report and in ``failures.csv``.
    """
    progress = progress or Silent()
    report = RenderReport(output_dir)
    job = _job(results, output_dir, sources, style, selection, choice, analyze_stats, captions)
    if scheduler is not None:
        with schedule.existing_cluster(scheduler):
            pass  # it answers and has workers: nothing is claimed or replaced before that is known
    with _timed(report, "read"):
        job.read(overwrite)
    with RunFolder(output_dir, job.looks(), overwrite) as folder:
        try:
            with _timed(report, "import"):
                report.note(job.import_into(folder))
            with _timed(report, "plan"):
                drawing = job.plan(folder.finished)
                report.take(drawing, job.available, job.cases)
            if drawing.portions and warmup.needed():
                progress.note("first run: compiling the kernels, once for this installation")
                with _timed(report, "compile"):
                    warmup.warm_up()
            if drawing.portions or job.measured:
                with _cluster(workers, scheduler, drawing.left) as client:
                    if style.scale == "cohort" and drawing.portions:
                        with _timed(report, "scale"):
                            job.find_cohort(client)
                    with _timed(report, "draw"):
                        items = work_items.work_items(drawing.portions)
                        _draw(client, job, items, folder, progress, report)
                    if job.measured:
                        with _timed(report, "statistics"):
                            report.statistics = job.measure(client, progress)
        except BaseException as error:
            with contextlib.suppress(FastcamError):
                stopped = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
                _finish(folder, report, style, stopped, job)
            raise
        _finish(folder, report, style, "finished", job)
    return report


def _job(
    results: Path,
    output_dir: Path,
    sources: Sources,
    style: Style,
    selection: Selection,
    choice: MapChoice | None,
    analyze_stats: bool,
    captions: Captions | None,
) -> PatchJob | MapsJob:
    """The job for the kind of store that ``results`` is; all its inputs are checked."""
    check_results(results)
    choice = choice or MapChoice()
    if results.is_dir():
        store = open_store(results)
        if isinstance(store, MapStore):
            if sources.root_dir is not None:
                store = MapStore.open(results, sources.root_dir)
            return MapsJob(
                store, output_dir, sources, style, selection, choice, analyze_stats, captions
            )
    if choice != MapChoice():
        raise InputError(
            f"--method, --layer and --head choose among maps, and {results} holds patch attention"
        )
    return PatchJob(results, output_dir, sources, style, selection, analyze_stats)


def _cluster(
    workers: int, scheduler: str | None, figures: int
) -> contextlib.AbstractContextManager[Client]:
    if scheduler is not None:
        return schedule.existing_cluster(scheduler)
    return schedule.local_cluster(schedule.shape_of(workers, figures))


def _draw(
    client: Client,
    job: PatchJob | MapsJob,
    items: list[WorkItem],
    folder: RunFolder,
    progress: Progress,
    report: RenderReport,
) -> None:
    if not items:
        return
    progress.begin("figures", sum(map(work_items.figures_of, items)))
    try:
        for item, result in schedule.run(client, job.drawer, items):
            folder.record(result.drawn)
            report.drawn += sum(record.slice is not None for record in result.drawn)
            report.note(result.failures)
            progress.advance(work_items.figures_of(item))
    finally:
        progress.end()


@contextlib.contextmanager
def _timed(report: RenderReport, stage: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        report.seconds[stage] = round(time.perf_counter() - start, 3)


def _finish(
    folder: RunFolder, report: RenderReport, style: Style, status: str, job: PatchJob | MapsJob
) -> None:
    """Leave the folder's records and its page true, also when the job was stopped midway."""
    folder.rewrite_journal()
    if status == "finished":
        # What a worker was writing when it was lost; its items were done by others.
        folder.remove_leftovers()
    folder.write_failures(report.failures, report.redone)
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
            "store": _store_said(folder, job),
        }
    )
    if job.store is not None:
        try:
            write_page(folder.path)
        except InputError as error:
            # The figures are done; a page can be had later, from `fastcam gallery`.
            report.note([Failure("warning", 0, PAGE, None, 0, f"not made: {error}")])


def _store_said(folder: RunFolder, job: PatchJob | MapsJob) -> str | None:
    """Where the run store is; one inside the folder moves with it."""
    if job.store is None:
        return None
    path = job.store.path.resolve()
    return STORE if path == (folder.path / STORE).resolve() else str(path)


def _limits(folder: RunFolder, style: Style) -> dict[str, object]:
    """Colour limits by case, and by map where a figure has several; those of ``--scale slice`` are
    by figure, in ``figures.csv``."""
    if style.scale == "slice":
        return {}
    drawn = [record for record in folder.finished.values() if record.slice is not None]
    return {r.case: json.loads(r.limits) if r.limits else [r.low, r.high] for r in drawn}


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"  # Pillow, where pillow-simd stands in its place
