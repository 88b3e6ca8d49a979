"""The job of ``fastcam infer``: a model and images to a run store of maps."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from fastcam.attribution.batch_maps import Engine
from fastcam.attribution.engines import build_engine, fingerprint
from fastcam.attribution.geometry.fields import NOT_FOLLOWED
from fastcam.attribution.model_call import called_as
from fastcam.attribution.modules import weight_type
from fastcam.errors import InputError
from fastcam.inference.batches import BatchSettings, RunSummary, run_batches
from fastcam.inference.device import choose_device, choose_precision
from fastcam.inference.dry_run import task_of
from fastcam.inference.loader import InputBatches, Inputs
from fastcam.jobs.infer.box_targets import box_notes, check_no_slices
from fastcam.jobs.infer.preparation import prepare, slice_inputs, slice_table
from fastcam.jobs.infer.report import InferReport
from fastcam.jobs.infer.request import InferRequest, content_sha256, names_of
from fastcam.jobs.infer.store_of_run import (
    Identity,
    OtherFacts,
    earlier_store,
    open_or_create,
    with_facts,
)
from fastcam.jobs.infer.stored_inputs import (
    StoredInputs,
    changed_cases,
    changed_note,
    damaged_note,
    forget_cases,
    forget_inputs,
)
from fastcam.jobs.infer.workers import WorkerChoice, resolve_workers, run_on_workers, worker_task
from fastcam.models.random_weights import has_random_weights
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.named_inputs import ModelInput
from fastcam.read.inputs.slicing import SliceTable, plane_remark
from fastcam.read.inputs.volume_input import check_channels
from fastcam.run.cgroups import cores
from fastcam.run.failures import add_failures, read_failures, write_failures
from fastcam.run.files import remove_leftovers
from fastcam.run.folder import STORE
from fastcam.run.folder_lock import locked_folder
from fastcam.run.progress import NoProgress, Progress
from fastcam.run.records import Failure
from fastcam.store.map_schema import MapAttrs
from fastcam.store.maps import MapStore
from fastcam.store.root import SCHEMA_VERSION

# More processes than this read faster than a GPU computes.
_MOST_READERS = 8


def infer_maps(
    model: nn.Module,
    request: InferRequest,
    output_dir: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    build: Callable[..., Engine] = build_engine,
    choice: WorkerChoice | None = None,
) -> InferReport:
    """Run ``model`` over the images and store their maps; finished batches are kept.

    ``build`` makes the engine, called as :func:`build_engine` is; ``choice``: the processes that
    run the model in place of this one, which can be sent both. Raises :class:`InputError` before
    anything is written when something is wrong with the model, the settings or the inputs; images
    that fail are in the report and in ``failures.csv``.
    """
    progress = progress or NoProgress()
    options = request.options
    preprocessing = request.preprocessing
    if choice is None:
        device = choose_device(options.device)
        dtype = choose_precision(options.precision, device)
    model_inputs, items = request.inputs.find(len(preprocessing.size), preprocessing.channels)
    workers = None
    if choice is not None:
        workers = resolve_workers(choice, options.device, _shared_paths(items, output_dir))
        device = torch.device("cpu")
        dtype = choose_precision(options.precision, torch.device(workers.device))
    check_channels([item.source for item in items], preprocessing, request.inputs.volume)
    table = slice_table(request, model_inputs, items)
    if request.maps.boxes:
        check_no_slices(table)
    with_masks = any(target.region == "mask" for target in request.maps.segments)
    if with_masks:
        _check_masks(items, table)
    labels = _labels(items, table) if options.by_label else None
    model = model.to(device)
    compiled = device.type == "cuda" if options.compiled is None else options.compiled
    half_on_cpu = dtype == torch.float16 and device.type == "cpu"
    attrs, identity = _attrs(model, request, model_inputs, items, dtype)
    earlier = earlier_store(output_dir / STORE, attrs, items, identity, overwrite)
    changed: set[int] = set()
    others, again, damaged = OtherFacts(), set[int](), set[int]()
    if earlier is not None:
        damaged = {earlier.case_of(row) for row in earlier.damaged_rows()}
        changed = changed_cases(earlier.path, options.trust_inputs)
        others = OtherFacts.of(earlier, items)
        again = {
            *(others.masks if with_masks else ()),
            *(others.labels if labels is not None else ()),
        }
        earlier.reopen(changed | again | damaged)
    prepared = prepare(
        model,
        request,
        model_inputs,
        items,
        len(items) if table is None else len(table),
        attrs,
        earlier,
        output_dir / STORE,
        device=device,
        dtype=torch.bfloat16 if half_on_cpu else dtype,
        build=build,
    )
    settings = BatchSettings(
        device=device,
        dtype=dtype,
        batch_size=options.batch_size,
        readers=_readers(options.readers, device.type),
        task=task_of(prepared.call, options.task),
        slow=request.maps.is_slow,
        segments=request.maps.segments if with_masks else (),
        targets=labels,
    )
    remarks = _remarks(request, items, table)
    if changed:
        remarks = [*remarks, changed_note(len(changed))]
    remarks += [damaged_note(len(damaged))] if damaged else []
    remarks = [*remarks, *others.notes(again)]
    for line in remarks:
        progress.note(line)
    report = InferReport(
        output_dir=output_dir,
        store=output_dir / STORE,
        images=len(items),
        device=str(workers or device),
    )
    own = dtype if dtype != torch.float32 else weight_type(model) or dtype
    report.precision = str(own).removeprefix("torch.")
    with called_as(model, prepared.call), locked_folder(output_dir):
        engine = build(model, prepared.maps, compiled=compiled and workers is None)
        remove_leftovers(output_dir)
        remove_leftovers(output_dir / STORE, "**/")
        store = open_or_create(
            output_dir / STORE,
            prepared.attrs,
            items,
            identity,
            table,
            options.batch_size,
            overwrite,
        )
        if earlier is None:
            forget_inputs(store.path)
        store.reopen(changed | again | damaged)
        if others:
            forget_cases(store.path, again)
            store = with_facts(store, items, prepared.attrs.sha256)
        finished = {header.place for header in store.headers if header.status == "done"}
        report.already = store.done_rows()
        # What an earlier run of the same store saw while it read is seen by nobody again.
        warnings = [
            failure
            for failure in read_failures(output_dir)
            if failure.level == "warning" and failure.place in finished
        ]
        inputs: InputBatches = Inputs(
            items,
            request.preprocessing,
            request.inputs.axes,
            prepared.call.packed,
            request.inputs.volume,
            with_masks,
        )
        if store.table is not None:
            inputs = slice_inputs(request, items, store.table)
            report.volumes, report.images = len(items), len(store.table)
        start = time.perf_counter()
        try:
            # Workers look at the files of their cases themselves.
            numbers = store.unfinished() if workers is None else []
            cases = {store.case_of(row) for number in numbers for row in store.rows(number)}
            with StoredInputs(store.path, items, sorted(cases), with_masks) as stored_inputs:

                def record(rows: range) -> None:
                    stored_inputs.add(map(store.case_of, rows))

                if workers is None:
                    summary = run_batches(model, engine, inputs, store, settings, progress, record)
                else:
                    task = worker_task(workers, request, prepared, settings, store, build)
                    add = stored_inputs.add_records
                    summary = run_on_workers(workers, task, store, items, add, progress)
            report.done, report.notes = summary.done, [*remarks, *summary.notes]
            add_failures(warnings, _warnings(store, summary))
            for line in [*_placement_notes(store), *box_notes(store)]:
                report.notes.append(line)
                progress.note(line)
        finally:
            report.seconds = round(time.perf_counter() - start, 3)
            report.failures = _failures(MapStore.open(store.path))
            report.failed = sum(failure.figures for failure in report.failures)
            report.failures += warnings
            write_failures(output_dir, report.failures)
    return report


def _shared_paths(items: Sequence[Item], output_dir: Path) -> list[Path]:
    """What workers of a cluster must see: the first input, and a folder around the output."""
    output_dir = output_dir.resolve()
    around = (folder for folder in (output_dir, *output_dir.parents) if folder.exists())
    return [items[0].source.resolve(), next(around)]


def _remarks(request: InferRequest, items: Sequence[Item], table: SliceTable | None) -> list[str]:
    """What users should know of the inputs, a line each."""
    lines = [request.inputs.left_out(len(request.preprocessing.size))]
    if table is not None:
        lines.append(plane_remark(items, table))
    return [line for line in lines if line]


def _placement_notes(store: MapStore) -> list[str]:
    """One line for all maps whose place in the image isn't known."""
    names = [name for name in store.map_names if NOT_FOLLOWED in store.note(name)]
    return [f"{', '.join(names)}: {NOT_FOLLOWED}"] if names else []


def _check_masks(items: Sequence[Item], table: SliceTable | None) -> None:
    """InputError where targets inside of masks can't be."""
    if table is not None:
        raise InputError("--target seg:CLASS@mask is for images and whole volumes, not for slices")
    if not any(item.mask for item in items):
        raise InputError(
            "--target seg:CLASS@mask: no image has a mask; give --mask-dir, or a column mask in "
            "the table"
        )


def _labels(items: Sequence[Item], table: SliceTable | None) -> Tensor:
    """The class (items,) int64 that each item's label names, or (rows,) that of each slice."""
    for item in items:
        if not item.label.isdecimal():
            raise InputError(
                f"--target label: {item.source} has the label {item.label!r}; the table must give "
                "each image a class number"
            )
    labels = torch.tensor([int(item.label) for item in items])
    return labels if table is None else labels[torch.from_numpy(table.cases)]


def _readers(readers: int | None, device_type: str) -> int:
    """Processes that decode images. On a CPU the model needs the cores: one is enough."""
    if readers is not None:
        return readers
    return min(_MOST_READERS, cores()) if device_type == "cuda" else 1


def _attrs(
    model: nn.Module,
    request: InferRequest,
    model_inputs: Sequence[ModelInput],
    items: Sequence[Item],
    dtype: torch.dtype,
) -> tuple[MapAttrs, Identity]:
    """What the store says of the run; its sha256 tells runs of other settings apart. And what
    that would be with other items."""
    preprocessing, maps, options = request.preprocessing, request.maps, request.options
    settings = {
        **maps.plain(),
        "precision": str(dtype).removeprefix("torch."),
        "batch_size": options.batch_size,
        "task": options.task,
        "axes": request.inputs.axes,
        "target": "label" if options.by_label else "",
        "weights": fingerprint(model)[:16],
    }
    # Where they are not given, settings and fingerprint are those of stores from before.
    settings |= {"output": request.output} if request.output else {}
    settings |= {"random_weights": True} if has_random_weights(model) else {}
    volume = request.inputs.volume
    settings |= {"volume": volume} if volume is not None else {}
    settings |= {"inputs": [asdict(entry) for entry in model_inputs]} if model_inputs else {}
    slicing = request.inputs.slicing
    settings |= {} if slicing is None else {"slicing": slicing.settings}
    # Rules by which a store is read; another one is no other run.
    rules = {"sign": settings.pop("sign")}
    rules |= {} if slicing is None else {"pool": slicing.pool}
    parts = (SCHEMA_VERSION, dict(request.model_info), preprocessing.settings, dict(settings))

    def identity(items: Sequence[Item]) -> str:
        return content_sha256(*parts, names_of(items))

    settings |= rules
    attrs = MapAttrs(
        sha256=identity(items),
        root=str(_common_folder(items)),
        model=str(request.model_info["model"]),
        checkpoint=str(request.model_info["checkpoint"] or ""),
        methods=maps.methods,
        layers=maps.layers,
        preprocessing=preprocessing.settings,
        settings=settings,
        dims=len(preprocessing.size) if slicing is None else 3,
    )
    return attrs, identity


def _common_folder(items: Sequence[Item]) -> Path:
    parents = [str(item.source.resolve().parent) for item in items]
    return Path(os.path.commonpath(parents))


def _warnings(store: MapStore, summary: RunSummary) -> list[Failure]:
    headers = [(store.headers[store.case_of(row)], text) for row, text in summary.warnings]
    return [Failure("warning", header.place, header.id, None, 0, text) for header, text in headers]


def _failures(store: MapStore) -> list[Failure]:
    ids = [header.id for header in store.headers]
    return [
        Failure("error", f.case + 1, ids[f.case], f.slice, f.rows, f.reason) for f in store.failures
    ]
