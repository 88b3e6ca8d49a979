"""The job of ``fastcam infer --model patch_attention``: volumes and masks to patch weights."""

from __future__ import annotations

import io
import shlex
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastcam.attribution.engines import fingerprint
from fastcam.attribution.modules import device_of
from fastcam.attribution.patch_maps import run_case
from fastcam.errors import CaseError, InputError
from fastcam.inference.device import arithmetic, choose_device, choose_precision
from fastcam.jobs.infer.report import InferReport
from fastcam.jobs.infer.request import InferenceOptions, InputChoice, content_sha256, names_of
from fastcam.jobs.infer.stored_inputs import (
    StoredInputs,
    changed_cases,
    changed_note,
    forget_cases,
    forget_inputs,
    others_note,
    recorded_masks,
)
from fastcam.models.patch_attention.network import PatchAttention
from fastcam.models.random_weights import has_random_weights
from fastcam.read.inputs.inputs import Item
from fastcam.read.results.case import Case
from fastcam.read.results.results import CaseWarning, RejectedCase, Results
from fastcam.read.volumes.masks import open_mask
from fastcam.read.volumes.volumes import open_volume
from fastcam.run.failures import write_failures
from fastcam.run.files import make_folder, remove, remove_partial, write_bytes
from fastcam.run.folder import STORE
from fastcam.run.folder_lock import locked_folder
from fastcam.run.progress import NoProgress, Progress, count_failures
from fastcam.run.records import LEVELS, Failure
from fastcam.storage.locations import readable
from fastcam.store.patches import RunStore, create_from_results, open_store
from fastcam.store.random_weights import random_source

# Finished cases wait here, a file each, until the store can be written as a whole.
_PARTS = ".cases"
_COLUMNS = ("weights", "boxes", "slices", "roi", "mask_ratio")


@dataclass(frozen=True)
class _Source:
    """One volume to run: its ``number``, from 1, its ``item``, and its ``label`` if it has one."""

    number: int
    item: Item
    label: int | None


@dataclass(frozen=True, eq=False)
class _Computed:
    """What came of a source: its ``case``, and what is odd about its volume and mask."""

    case: Case
    warnings: tuple[str, ...]


def infer_patches(
    model: PatchAttention,
    model_info: Mapping[str, Any],
    inputs: InputChoice,
    options: InferenceOptions,
    output_dir: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> InferReport:
    """Run a patch-attention model over volumes with masks, into a store of patch weights.

    The store is the one that a results file becomes: ``fastcam render`` draws it. ``model_info``
    holds ``model`` and ``checkpoint`` by name. Labels, whole numbers, come from the table; without
    them nobody says right or wrong. Finished cases are kept when the run is stopped, those whose
    volume or mask changed meanwhile are run again. Cases that fail are in the report and in
    ``failures.csv``.
    """
    progress = progress or NoProgress()
    device = choose_device(options.device)
    dtype = choose_precision(options.precision, device)
    items = inputs.find_items(dims=3)
    if not any(item.mask for item in items):
        raise InputError("the patch-attention model cuts its patches from masks: give --mask-dir")
    sources = [_Source(number, item, _label(item)) for number, item in enumerate(items, 1)]
    parts_of_identity = (dict(model_info), str(dtype), inputs.axes, fingerprint(model))

    def identity(items: Sequence[Item]) -> str:
        return content_sha256(*parts_of_identity, names_of(items), *filter(None, [inputs.volume]))

    sha256 = identity(items)
    report = InferReport(
        output_dir=output_dir, store=output_dir / STORE, images=len(items), device=str(device)
    )
    report.precision = str(dtype).removeprefix("torch.")
    report.sources = "--root-dir IMAGES --mask-dir MASKS "
    if inputs.volume is not None:
        report.sources += f"--volume {shlex.quote(inputs.volume)} "
    with locked_folder(output_dir):
        # A case's part holds neither label nor mask.
        plain = [replace(item, mask=None, label="") for item in items]
        parts = output_dir / _PARTS / identity(plain)[:16]
        store, others = _earlier_store(output_dir / STORE, items, identity, overwrite)
        if store is None and parts.exists():
            others = _other_cases(_with_masks(output_dir / STORE, items), items)
        elif store is None:
            forget_inputs(output_dir / STORE)
        changed = changed_cases(output_dir / STORE, options.trust_inputs)
        if others:
            report.notes.append(others_note(len(others)))
        if changed:
            report.notes.append(changed_note(len(changed)))
        for line in report.notes:
            progress.note(line)
        if changed or others:
            _reopen(store, changed | others, sources, parts)
            store = None
            if others:
                forget_cases(output_dir / STORE, others)
        if store is None:
            compute = partial(_compute_case, model.to(device), dtype, inputs)
            with StoredInputs(report.store, items, range(len(items)), with_masks=True) as stored:
                cases = _run(sources, compute, parts, stored, report, progress)
            if not cases:
                write_failures(output_dir, report.failures)
                return report
            model_name = str(model_info["model"])
            if has_random_weights(model):
                model_name = random_source(model_name)
            errors, warnings = (
                [(t.place, t.case, t.reason) for t in report.failures if t.level == level]
                for level in LEVELS
            )
            rejected = tuple(RejectedCase(*entry) for entry in errors)
            odd = tuple(CaseWarning(*entry) for entry in warnings)
            results = Results(Path(model_name), sha256, tuple(cases), rejected, odd)
            remove(output_dir / STORE)
            remove_partial(output_dir / STORE)
            create_from_results(output_dir / STORE, results)
            remove(output_dir / _PARTS)
        else:
            report.already = len(store.cases)
            report.failures = [
                *(Failure("error", r.place, r.name, None, 1, r.reason) for r in store.rejected),
                *(Failure("warning", w.place, w.name, None, 0, w.reason) for w in store.warnings),
            ]
            report.failed = len(store.rejected)
        write_failures(output_dir, report.failures)
    return report


def _label(item: Item) -> int | None:
    if not item.label:
        return None
    if not item.label.isdecimal():
        raise InputError(f"{item.source}: its label is {item.label!r}; labels are 0, 1, 2, ...")
    return int(item.label)


def _earlier_store(
    path: Path, items: Sequence[Item], identity: Callable[[Sequence[Item]], str], overwrite: bool
) -> tuple[RunStore | None, set[int]]:
    """The store of an earlier run of the same job, and the 0-based cases that have another mask or
    label now than there."""
    if overwrite or not path.exists():
        return None, set()
    store = open_store(path)
    if store.attrs.sha256 == identity(items):
        return store, set()
    before = _items_of(store, items)
    if store.attrs.sha256 != identity(before):
        raise InputError(
            f"{path} was made with other volumes, weights or settings; give another --output-dir, "
            "or --overwrite to replace it"
        )
    return store, _other_cases(before, items)


def _other_cases(before: Sequence[Item], now: Sequence[Item]) -> set[int]:
    """The 0-based cases that differ."""
    pairs = enumerate(zip(names_of(before), names_of(now), strict=True))
    return {case for case, (old, new) in pairs if old != new}


def _with_masks(path: Path, items: Sequence[Item]) -> list[Item]:
    """``items`` with the masks that they were run with."""
    masks = zip(items, recorded_masks(path, items), strict=True)
    return [replace(item, mask=mask) for item, mask in masks]


def _items_of(store: RunStore, items: Sequence[Item]) -> list[Item]:
    """``items`` with the masks and labels that they had when ``store`` was made."""
    labels = {header.place: header.true_label for header in store.cases}
    before = []
    for place, item in enumerate(_with_masks(store.path, items), 1):
        label = labels.get(place, _label(item))
        text = item.label if label == _label(item) else "" if label is None else str(label)
        before.append(replace(item, label=text))
    return before


def _reopen(
    store: RunStore | None, changed: Container[int], sources: Sequence[_Source], parts: Path
) -> None:
    """Put the cases of a store that is finished back into ``parts``, all but those ``changed``."""
    make_folder(parts)
    for source in sources:
        if source.number - 1 in changed:
            remove(_part(parts, source))
    if store is None:
        return
    for index, header in enumerate(store.cases):
        source = sources[header.place - 1]
        if source.number - 1 not in changed:
            texts = tuple(w.reason for w in store.warnings if w.place == header.place)
            _write_part(_part(parts, source), _Computed(store.case(index), texts))
    # From here on it is a run that was stopped.
    remove(store.path)


def _part(parts: Path, source: _Source) -> Path:
    return parts / f"{source.number:06d}.npz"


def _run(
    sources: Sequence[_Source],
    compute: Callable[[_Source], _Computed],
    parts: Path,
    stored_inputs: StoredInputs,
    report: InferReport,
    progress: Progress,
) -> list[Case]:
    """The cases of all sources, read from ``parts`` or computed and kept there."""
    make_folder(parts)
    cases: list[Case] = []
    start = time.perf_counter()
    progress.begin("cases", len(sources))
    try:
        for source in sources:
            part, number, name = _part(parts, source), source.number, source.item.id
            computed = _read_part(part, source)
            if computed is not None:
                report.already += 1
            else:
                try:
                    computed = compute(source)
                    _write_part(part, computed)
                    report.done += 1
                except CaseError as error:
                    report.failures.append(Failure("error", number, name, None, 1, str(error)))
                    report.failed += 1
                    count_failures(progress, 1)
                stored_inputs.add([number - 1])
            if computed is not None:
                cases.append(computed.case)
                report.failures += [
                    Failure("warning", number, name, None, 0, text) for text in computed.warnings
                ]
            progress.advance(1)
    finally:
        progress.end()
        report.seconds = round(time.perf_counter() - start, 3)
    return cases


def _compute_case(
    model: PatchAttention, dtype: torch.dtype, inputs: InputChoice, source: _Source
) -> _Computed:
    item = source.item
    if item.mask is None:
        raise CaseError(f"{item.source}: has no mask in {inputs.mask_dir or inputs.table}")
    volume = open_volume(item.source, inputs.axes, volume=inputs.volume)
    mask = open_mask(item.mask, volume.grid, inputs.axes)
    with torch.no_grad(), arithmetic(device_of(model), dtype):
        patches = run_case(model, volume.voxels, volume.window, mask.inside)
    case = _case(
        source,
        probabilities=tuple(patches.probabilities.tolist()),
        **{name: getattr(patches, name) for name in _COLUMNS},
    )
    return _Computed(case, (*volume.warnings, *mask.warnings))


def _case(source: _Source, probabilities: tuple[float, ...], **columns: Any) -> Case:
    """The case of a source, whose prediction is the class of the highest probability."""
    predicted = int(np.argmax(probabilities))
    return Case(
        place=source.number,
        name=source.item.id,
        true_label=source.label,
        predicted_label=predicted,
        correct=None if source.label is None else source.label == predicted,
        confidence=max(probabilities),
        probabilities=probabilities,
        **columns,
    )


def _write_part(path: Path, computed: _Computed) -> None:
    packed, case = io.BytesIO(), computed.case
    columns = {name: getattr(case, name) for name in _COLUMNS}
    texts = np.array(computed.warnings, dtype=np.str_)
    np.savez(packed, probabilities=np.array(case.probabilities), warnings=texts, **columns)
    write_bytes(path, [packed.getvalue()])


def _read_part(path: Path, source: _Source) -> _Computed | None:
    """The case that an earlier run of the same job computed; None where it didn't."""
    if not path.exists():
        return None
    with np.load(readable(path), allow_pickle=False) as part:
        probabilities = tuple(part["probabilities"].tolist())
        warnings = tuple(part["warnings"].tolist()) if "warnings" in part else ()
        case = _case(source, probabilities, **{name: part[name] for name in _COLUMNS})
    return _Computed(case, warnings)
