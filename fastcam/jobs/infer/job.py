"""The job of ``fastcam infer``: a model and images to a run store of maps."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from torch import nn

from fastcam.attribution.batch_maps import Engine
from fastcam.attribution.engines import build_engine
from fastcam.attribution.geometry.fields import NOT_FOLLOWED
from fastcam.attribution.model_call import called_as
from fastcam.errors import FastcamError
from fastcam.inference.batches import RunSummary, run_batches
from fastcam.jobs.infer.box_targets import box_notes
from fastcam.jobs.infer.earlier_run import find_earlier, open_run
from fastcam.jobs.infer.plan import InferPlan, plan_run
from fastcam.jobs.infer.preparation import Preparation, prepare
from fastcam.jobs.infer.report import InferReport
from fastcam.jobs.infer.request import InferRequest
from fastcam.jobs.infer.stored_inputs import StoredInputs
from fastcam.jobs.infer.workers import WorkerChoice, run_on_workers, worker_task
from fastcam.run.failures import add_failures, read_failures, write_failures
from fastcam.run.files import remove_leftovers
from fastcam.run.folder_lock import locked_folder
from fastcam.run.progress import NoProgress, Progress
from fastcam.run.records import Failure
from fastcam.store.maps import MapStore

# Makes the engine, called as build_engine is.
Build = Callable[..., Engine]


def infer_maps(
    model: nn.Module,
    request: InferRequest,
    output_dir: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    build: Build = build_engine,
    choice: WorkerChoice | None = None,
) -> InferReport:
    """Run ``model`` over the images and store their maps; finished batches are kept.

    ``build`` makes the engine, called as :func:`build_engine` is; ``choice``: the processes that
    run the model in place of this one, which can be sent both. Raises :class:`InputError` before
    anything is written when something is wrong with the model, the settings or the inputs; images
    that fail are in the report and in ``failures.csv``.
    """
    progress = progress or NoProgress()
    plan = plan_run(model, request, output_dir, choice)
    earlier = find_earlier(plan, overwrite)
    prepared = prepare(
        model,
        request,
        plan.model_inputs,
        plan.items,
        plan.rows,
        plan.attrs,
        earlier.store,
        plan.store_path,
        device=plan.device,
        dtype=plan.dry_dtype,
        build=build,
    )
    report = InferReport(
        output_dir=output_dir,
        store=plan.store_path,
        images=plan.rows,
        volumes=0 if plan.table is None else len(plan.items),
        device=str(plan.workers or plan.device),
        precision=plan.precision_of(model),
        notes=[*plan.remarks, *earlier.notes],
    )
    for line in report.notes:
        progress.note(line)
    with called_as(model, prepared.call), locked_folder(output_dir):
        engine = build(model, prepared.maps, compiled=plan.compiled)
        remove_leftovers(output_dir)
        remove_leftovers(plan.store_path, "**/")
        store = open_run(plan, earlier, prepared.attrs, overwrite)
        report.already = store.done_rows()
        warnings = _kept_warnings(store, output_dir)
        start = time.perf_counter()
        try:
            summary = _run(model, engine, plan, prepared, store, build, progress)
            report.done = summary.done
            report.notes += summary.notes
            add_failures(warnings, _warnings(store, summary))
            for line in [*_placement_notes(store), *box_notes(store)]:
                report.notes.append(line)
                progress.note(line)
        except BaseException:
            # What ended the run is said, not what follows from it.
            with contextlib.suppress(FastcamError, OSError):
                _list_failures(report, warnings)
            raise
        finally:
            report.seconds = round(time.perf_counter() - start, 3)
        _list_failures(report, warnings)
    return report


def _list_failures(report: InferReport, warnings: list[Failure]) -> None:
    """Put what has failed, and ``warnings``, into the report and into ``failures.csv``."""
    report.failures = _failures(MapStore.open(report.store))
    report.failed = sum(failure.figures for failure in report.failures)
    report.failures += warnings
    write_failures(report.output_dir, report.failures)


def _run(
    model: nn.Module,
    engine: Engine,
    plan: InferPlan,
    prepared: Preparation,
    store: MapStore,
    build: Build,
    progress: Progress,
) -> RunSummary:
    """Run what the store has open, in this process or by workers."""
    settings = plan.batch_settings(prepared.call)
    # Workers look at the files of their cases themselves.
    numbers = store.unfinished() if plan.workers is None else []
    cases = {store.case_of(row) for number in numbers for row in store.rows(number)}
    with StoredInputs(store.path, plan.items, sorted(cases), plan.with_masks) as stored_inputs:
        if plan.workers is not None:
            task = worker_task(plan.workers, plan.request, prepared, settings, store, build)
            add = stored_inputs.add_records
            return run_on_workers(plan.workers, task, store, plan.items, add, progress)

        def record(rows: range) -> None:
            stored_inputs.add(map(store.case_of, rows))

        inputs = plan.inputs(prepared.call, store.table)
        return run_batches(model, engine, inputs, store, settings, progress, record)


def _kept_warnings(store: MapStore, output_dir: Path) -> list[Failure]:
    """What an earlier run of the same store saw while it read: nobody sees it again."""
    finished = {header.place for header in store.headers if header.status == "done"}
    return [
        failure
        for failure in read_failures(output_dir)
        if failure.level == "warning" and failure.place in finished
    ]


def _placement_notes(store: MapStore) -> list[str]:
    """One line for all maps whose place in the image isn't known."""
    names = [name for name in store.map_names if NOT_FOLLOWED in store.note(name)]
    return [f"{', '.join(names)}: {NOT_FOLLOWED}"] if names else []


def _warnings(store: MapStore, summary: RunSummary) -> list[Failure]:
    headers = [(store.headers[store.case_of(row)], text) for row, text in summary.warnings]
    return [Failure("warning", header.place, header.id, None, 0, text) for header, text in headers]


def _failures(store: MapStore) -> list[Failure]:
    ids = [header.id for header in store.headers]
    return [
        Failure("error", f.case + 1, ids[f.case], f.slice, f.rows, f.reason) for f in store.failures
    ]
