"""The job of ``fastcam render``: results or a run store to a folder of figures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fastcam.errors import InputError
from fastcam.figures import warmup
from fastcam.jobs.render import PRELOAD
from fastcam.jobs.render.far_workers import check_workers
from fastcam.jobs.render.maps.job import MapSource
from fastcam.jobs.render.patches.job import PatchSource
from fastcam.jobs.render.patches.statistics_files import write_statistics
from fastcam.jobs.render.plan import (
    CohortPlan,
    Draw,
    RenderPlan,
    RenderSource,
    StatisticsPlan,
    joined_limits,
)
from fastcam.jobs.render.report import RenderReport
from fastcam.jobs.render.request import RenderRequest
from fastcam.jobs.render.run_record import RunRecord
from fastcam.options import MapChoice
from fastcam.report.statistics import CaseStatistics
from fastcam.run import queues, work_items
from fastcam.run import scheduler as schedule
from fastcam.run.failures import error_count
from fastcam.run.folder import RunFolder
from fastcam.run.input_files import ALL_CASES, input_records
from fastcam.run.progress import NoProgress, Progress, count_failures
from fastcam.store.maps import MapStore
from fastcam.store.open import open_store

if TYPE_CHECKING:
    from distributed import Client


def render(
    request: RenderRequest,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> RenderReport:
    """Draw the figures of a results file or run store; what is finished already is kept.

    ``scheduler`` is the address or scheduler file of a Dask cluster to be used instead of
    ``workers`` on this machine. Raises :class:`InputError` before anything is written when an input
    is unusable, and :class:`OutputError` when the output can't be written. Cases that can't be
    drawn are in the report and in ``failures.csv``.
    """
    progress = progress or NoProgress()
    report = RenderReport(output_dir=request.output_dir)
    if scheduler is not None:
        request = _whole_paths(request)
    source = _source(request)
    if scheduler is not None:
        with schedule.existing_cluster(scheduler):
            pass  # it answers and has workers: nothing is claimed or replaced before that is known
    with report.timed("read"):
        selected = source.read()
    report.notes += selected.notes
    with (
        RunFolder(
            request.output_dir, selected.fingerprint, request.overwrite, request.trust_inputs
        ) as folder,
        RunRecord(folder, report, request.style.scale) as record,
    ):
        report.notes += folder.notes
        with report.timed("import"):
            job = selected.import_into(folder)
            record.store = job.store_path
            report.add_failures(job.failures)
        with report.timed("plan"):
            if not request.trust_inputs:
                report.notes += folder.redraw_masked(job.masked)
            plan = job.plan(folder.finished)
            report.add_plan(plan)
            count_failures(progress, error_count(plan.figures.failures))
        if plan.figures.cases and warmup.needed():
            progress.note(warmup.NOTE)
            with report.timed("compile"):
                warmup.warm_up()
        if plan.figures.cases:
            folder.record((), input_records(ALL_CASES, plan.fonts))
        if plan.figures.cases or plan.statistics is not None:
            with _cluster(workers, scheduler, plan.figures.left, request) as client:
                draw = plan.draw
                if plan.cohort is not None:
                    with report.timed("scale"):
                        draw = _cohort_draw(client, plan.cohort)
                with report.timed("draw"):
                    _draw(client, draw, plan, folder, progress, report)
                if plan.statistics is not None:
                    with report.timed("statistics"):
                        report.statistics = _measure(client, plan.statistics, request, progress)
    return report


def _source(request: RenderRequest) -> RenderSource:
    """The source for the kind of store that the results are; all inputs are checked."""
    if request.results.is_dir():
        store = open_store(request.results)
        if isinstance(store, MapStore):
            return MapSource.of(request, store)
    if request.choice != MapChoice():
        raise InputError(
            "--method, --layer, --head and --sign choose among maps, and "
            f"{request.results} holds patch attention"
        )
    return PatchSource.of(request)


def _whole_paths(request: RenderRequest) -> RenderRequest:
    """The request for workers that may have started in another folder."""
    root, masks = request.sources.root_dir, request.sources.mask_dir
    sources = replace(
        request.sources,
        root_dir=None if root is None else root.absolute(),
        mask_dir=None if masks is None else masks.absolute(),
    )
    return replace(request, sources=sources)


@contextlib.contextmanager
def _cluster(
    workers: int, scheduler: str | None, figures: int, request: RenderRequest
) -> Iterator[Client]:
    if scheduler is None:
        shape = schedule.cluster_shape(workers, figures)
        with schedule.local_cluster(shape, PRELOAD) as client:
            yield client
        return
    sources = request.sources
    with schedule.existing_cluster(scheduler) as client:
        check_workers(client, scheduler, (request.output_dir, sources.root_dir, sources.mask_dir))
        yield client


def _cohort_draw(client: Client, cohort: CohortPlan) -> Draw:
    """What draws on the scale of all cases, which is found first."""
    limits = [pairs for _, pairs in queues.run(client, cohort.limits, cohort.items)]
    return cohort.draw(joined_limits(limits))


def _draw(
    client: Client,
    draw: Draw,
    plan: RenderPlan,
    folder: RunFolder,
    progress: Progress,
    report: RenderReport,
) -> None:
    items = work_items.work_items(plan.figures.cases)
    if not items:
        return
    progress.begin("figures", sum(map(work_items.figures_of, items)))
    try:
        for item, result in queues.run_cut(client, draw, items):
            folder.record(result.figures, result.inputs)
            report.add_result(result)
            count_failures(progress, error_count(result.failures))
            progress.advance(work_items.figures_of(item))
    finally:
        progress.end()


def _measure(
    client: Client, statistics: StatisticsPlan, request: RenderRequest, progress: Progress
) -> list[Path]:
    """Write the statistics of the cases beside the figures; the files."""
    items = work_items.batches(statistics.cases, work_items.ITEM_CASES)
    rows: list[CaseStatistics] = []
    progress.begin("cases measured", len(statistics.cases))
    try:
        for item, measured in queues.run(client, statistics.measure, items):
            rows += measured
            progress.advance(len(item))
    finally:
        progress.end()
    rows.sort(key=lambda row: row.place)
    return write_statistics(request.output_dir.resolve(), rows, request.style)
