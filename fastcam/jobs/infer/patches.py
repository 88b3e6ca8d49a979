"""The job of ``fastcam infer --model patch_attention``: volumes and masks to patch weights."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastcam.errors import CaseError, InputError
from fastcam.jobs.infer.report import InferReport
from fastcam.jobs.infer.request import InputChoice, InferenceOptions
from fastcam.read.inputs.inputs import Item, find_inputs
from fastcam.read.results.case import Case
from fastcam.read.results.results import Rejected, Results
from fastcam.read.volumes.masks import open_mask
from fastcam.read.volumes.volumes import open_volume
from fastcam.run.files import make_folder, remove, write_bytes
from fastcam.run.folder import FAILURES, STORE, claimed, write_failures
from fastcam.run.progress import Progress, Silent
from fastcam.run.records import Failure
from fastcam.store.patches import RunStore, create_from_results, open_store

if TYPE_CHECKING:
    from fastcam.models.patch_attention.network import PatchAttention

# Finished cases wait here, a file each, until the store can be written as a whole.
_PARTS = ".cases"
_COLUMNS = ("weights", "boxes", "slices", "roi", "mask_ratio")


def infer_patches(
    model: PatchAttention,
    described: dict[str, Any],
    choice: InputChoice,
    running: InferenceOptions,
    output_dir: Path,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> InferReport:
    """Run a patch-attention model over volumes with masks, into a store of patch weights.

    The store is the one that a results file becomes: ``fastcam render`` draws it. Labels, whole
    numbers, come from the table; without them nobody says right or wrong. Finished cases are kept
    when the run is stopped. Cases that fail are in the report and in ``failures.csv``.
    """
    from fastcam.attribution.engines import fingerprint
    from fastcam.inference.device import choose_device, choose_precision

    progress = progress or Silent()
    device = choose_device(running.device)
    dtype = choose_precision(running.precision, device)
    items = find_inputs(choice.paths, choice.pattern, choice.table, choice.mask_dir, dims=3)
    if not any(item.mask for item in items):
        raise InputError("the patch-attention model cuts its patches from masks: give --mask-dir")
    labels = [_label(item) for item in items]
    named = [(str(item.source), str(item.mask), item.label) for item in items]
    content = json.dumps(
        [described, str(dtype), choice.axes, fingerprint(model), named], default=str
    )
    sha256 = hashlib.sha256(content.encode("utf-8", "backslashreplace")).hexdigest()
    report = InferReport(output_dir, output_dir / STORE, len(items), device=str(device))
    report.precision = str(dtype).removeprefix("torch.")
    report.sources = "--root-dir IMAGES --mask-dir MASKS "
    with claimed(output_dir):
        kept = _kept(output_dir / STORE, sha256, overwrite)
        if kept is None:
            cases = _run(
                model.to(device), dtype, items, labels, choice, output_dir / _PARTS / sha256[:16],
                report, progress,
            )  # fmt: skip
            rejected = tuple(Rejected(t.place, t.case, t.reason) for t in report.failures)
            if not cases:
                write_failures(output_dir / FAILURES, report.failures)
                return report
            results = Results(Path(str(described["model"])), sha256, tuple(cases), rejected, ())
            remove(output_dir / STORE)
            create_from_results(output_dir / STORE, results)
            shutil.rmtree(output_dir / _PARTS, ignore_errors=True)
        else:
            report.already = len(kept.cases)
            report.failures = [
                Failure("error", r.place, r.name, None, 1, r.reason) for r in kept.rejected
            ]
            report.failed = len(report.failures)
        write_failures(output_dir / FAILURES, report.failures)
    return report


def _label(item: Item) -> int | None:
    if not item.label:
        return None
    if not item.label.isdecimal():
        raise InputError(f"{item.source}: its label is {item.label!r}; labels are 0, 1, 2, ...")
    return int(item.label)


def _kept(path: Path, sha256: str, overwrite: bool) -> RunStore | None:
    """The store of an earlier run of the same job."""
    if overwrite or not path.exists():
        return None
    store = open_store(path)
    if store.attrs.sha256 != sha256:
        raise InputError(
            f"{path} was made with other volumes, weights or settings; give another --output-dir, "
            "or --overwrite to replace it"
        )
    return store


def _run(
    model: PatchAttention,
    dtype: Any,
    items: Sequence[Item],
    labels: Sequence[int | None],
    choice: InputChoice,
    parts: Path,
    report: InferReport,
    progress: Progress,
) -> list[Case]:
    make_folder(parts)
    cases: list[Case] = []
    start = time.perf_counter()
    progress.begin("cases", len(items))
    try:
        for place, (item, label) in enumerate(zip(items, labels, strict=True), 1):
            part = parts / f"{place:06d}.npz"
            case = _read_part(part, place, item, label)
            if case is not None:
                report.already += 1
            else:
                try:
                    case = _computed(model, dtype, place, item, label, choice)
                    _write_part(part, case)
                    report.done += 1
                except CaseError as error:
                    report.failures.append(Failure("error", place, item.id, None, 1, str(error)))
            if case is not None:
                cases.append(case)
            progress.advance(1)
    finally:
        progress.end()
        report.seconds = round(time.perf_counter() - start, 3)
        report.failed = len(report.failures)
    return cases


def _computed(
    model: PatchAttention,
    dtype: Any,
    place: int,
    item: Item,
    label: int | None,
    choice: InputChoice,
) -> Case:
    import torch

    from fastcam.attribution.patch_maps import run_case
    from fastcam.inference.device import arithmetic

    if item.mask is None:
        raise CaseError(f"{item.source}: has no mask in {choice.mask_dir or choice.table}")
    volume = open_volume(item.source, choice.axes)
    mask = open_mask(item.mask, volume.voxels.shape, choice.axes)
    device = next(model.parameters()).device
    with torch.no_grad(), arithmetic(device, dtype):
        found = run_case(model, volume.voxels, volume.window, mask.inside)
    predicted = found.prediction
    return Case(
        place, item.id, label, predicted, None if label is None else label == predicted,
        found.confidence, tuple(found.probabilities.tolist()),
        found.weights, found.boxes, found.slices, found.roi, found.mask_ratio,
    )  # fmt: skip


def _write_part(path: Path, case: Case) -> None:
    packed = io.BytesIO()
    columns = {name: getattr(case, name) for name in _COLUMNS}
    np.savez(packed, probabilities=np.array(case.probabilities), **columns)
    write_bytes(path, [packed.getvalue()])


def _read_part(path: Path, place: int, item: Item, label: int | None) -> Case | None:
    """What an earlier run of the same job found for this case."""
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as part:
        probabilities = part["probabilities"]
        columns = {name: part[name] for name in _COLUMNS}
    predicted = int(probabilities.argmax())
    case = Case(
        place, item.id, label, predicted, None, float(probabilities.max()),
        tuple(probabilities.tolist()), **columns,
    )  # fmt: skip
    return replace(case, correct=None if label is None else label == predicted)
