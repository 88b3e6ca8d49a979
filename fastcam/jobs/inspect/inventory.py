"""What is in a results file, a run store or a checkpoint, without running any of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fastcam.errors import InputError
from fastcam.jobs.inspect.contents import Inventory
from fastcam.jobs.inspect.tensors import TensorEntry, safetensors_entries, torch_entries
from fastcam.jobs.inspect.volumes import describe_volume, is_volume
from fastcam.read.regular_files import check_regular
from fastcam.read.results import pickle_scan
from fastcam.read.results.case import Case
from fastcam.read.results.content import kind_of
from fastcam.read.results.pickle_cost import TooCostlyError
from fastcam.read.results.pickle_reader import ForeignGlobalError
from fastcam.read.results.results import (
    PICKLE_SUFFIXES,
    CaseWarning,
    RejectedCase,
    Results,
    read_results,
)
from fastcam.run.run_status import unfinished_run
from fastcam.storage.local_copy import local_copy
from fastcam.storage.object_path import ObjectPath
from fastcam.store.map_schema import STATUS
from fastcam.store.maps import MapStore
from fastcam.store.open import open_store
from fastcam.store.patches import RunStore

READABLE = (
    "a results file (.pkl, .pickle, .npz, .json), a run store (.zarr), a volume (.nii, .nii.gz, a "
    "DICOM file or folder) or a checkpoint "
    "(.safetensors, .pth, .pt, .ckpt, or of any other name)"
)
_CASE_COLUMNS = (
    "place",
    "name",
    "true",
    "predicted",
    "correct",
    "confidence",
    "patches",
    "slices",
    "best_slice",
)
_MAP_COLUMNS = ("place", "id", "group", "label", "predicted", "confidence", "status", "reason")
# Of checkpoints that torch.save() wrote; a file whose content says so needs none of them.
_TORCH_SUFFIXES = (".pth", ".pt", ".ckpt")


def describe(path: Path) -> Inventory:
    """Look into ``path``; InputError when it is nothing that fastcam reads, or is damaged.

    Checkpoints are recognized by their content, whatever they are called. A pickle that asks for
    something foreign is described by what it asks for; none of it runs.
    """
    if isinstance(path, ObjectPath) and path.is_file():
        with local_copy(path) as file:
            return replace(describe(file), path=str(path))
    suffix = path.suffix.lower()
    if is_volume(path):
        return describe_volume(path)
    if path.is_dir():
        store = open_store(path)
        inventory = _describe_maps(store) if isinstance(store, MapStore) else _describe_store(store)
        unfinished = unfinished_run(path.resolve().parent)
        return replace(inventory, notes=[unfinished]) if unfinished else inventory
    if not path.exists():
        raise InputError(f"{path}: does not exist")
    check_regular(path)
    kind = kind_of(path)
    if kind == "safetensors" or (suffix == ".safetensors" and not kind):
        return _describe_tensors(path, "checkpoint (safetensors)", safetensors_entries(path))
    may_be_results = suffix in (*PICKLE_SUFFIXES, ".npz", ".json")
    if kind == "torch" or suffix in _TORCH_SUFFIXES:
        try:
            tensors = torch_entries(path)
        except InputError as error:
            if not may_be_results or isinstance(error.__cause__, TooCostlyError):
                raise
            tensors = []
        if tensors or not may_be_results:
            return _describe_tensors(path, "checkpoint (torch)", tensors)
    if may_be_results:
        try:
            return _describe_results(read_results(path))
        except InputError as error:
            if isinstance(error.__cause__, ForeignGlobalError):
                return _describe_foreign(path)
            raise
    if kind == "pickle":
        raise InputError(f"{path}: is a pickle under another name; a results file ends in .pkl")
    raise InputError(f"{path}: inspect can't look into such a file; give {READABLE}")


def _describe_results(results: Results) -> Inventory:
    return _describe_cases(
        results.source,
        f"results file ({results.source.suffix.lower().lstrip('.')})",
        [("sha256", results.sha256)],
        results.cases,
        results.rejected,
        results.warnings,
    )


def _describe_store(store: RunStore) -> Inventory:
    attrs = store.attrs
    origin = [
        ("made from", f"{attrs.source} (sha256 {attrs.sha256})"),
        ("created", f"{attrs.created} by fastcam {attrs.fastcam}, schema {attrs.schema}"),
        ("holds", attrs.kind),
    ]
    cases = (store.case(i) for i in range(len(store.cases)))
    return _describe_cases(store.path, "run store", origin, cases, store.rejected, store.warnings)


def _describe_maps(store: MapStore) -> Inventory:
    attrs, headers = store.attrs, store.headers
    counts = Counter(header.status for header in headers)
    summary = [
        ("model", attrs.model),
        ("checkpoint", attrs.checkpoint or "none"),
        ("created", f"{attrs.created} by fastcam {attrs.fastcam}, schema {attrs.schema}"),
        ("holds", attrs.kind),
        ("methods", ", ".join(attrs.methods)),
        ("layers", ", ".join(attrs.layers) or "auto"),
        ("images" if attrs.dims == 2 else "volumes", str(len(headers))),
        *([("slices", _slices(store))] if store.table is not None else []),
        *((status, str(counts[status])) for status in STATUS),
        ("batches left", f"{len(store.unfinished())} of {store.batches}; batch size {store.batch}"),
        ("sources under", str(store.root)),
        *((f"map {name}", _map_shape(store, name)) for name in store.map_names),
    ]
    table: list[tuple[Any, ...]] = [
        (
            header.place,
            header.id,
            header.group,
            header.label,
            "" if header.prediction is None else header.prediction,
            "" if math.isnan(header.confidence) else round(header.confidence, 6),
            header.status,
            header.reason,
        )
        for header in headers
    ]
    return Inventory(str(store.path), "run store of maps", summary, _MAP_COLUMNS, table)


def _slices(store: MapStore) -> str:
    """How many slices of volumes were run one by one, and which."""
    slicing = store.attrs.settings["slicing"]
    parts = [str(store.row_count), f"{slicing['axis'] or 'as stored'}, {slicing['slices']}"]
    parts += [f"context {slicing['context']}"] if slicing["context"] > 1 else []
    return "; ".join([*parts, f"pooled by {store.attrs.settings['pool']}"])


def _map_shape(store: MapStore, name: str) -> str:
    lengths = zip(store.axes(name), store.shape(name), strict=True)
    return ", ".join(f"{axis} {length}" for axis, length in lengths)


def _describe_cases(
    path: Path,
    kind: str,
    origin: list[tuple[str, str]],
    cases: Iterable[Case],
    rejected: Sequence[RejectedCase],
    warnings: Sequence[CaseWarning],
) -> Inventory:
    table: list[tuple[Any, ...]] = []
    low, high = math.inf, -math.inf
    classes: set[int] = set()
    for case in cases:
        low, high = min(low, float(case.weights.min())), max(high, float(case.weights.max()))
        classes.add(len(case.probabilities))
        table.append(
            (
                case.place,
                case.name,
                case.true_label,
                case.predicted_label,
                case.correct,
                round(case.confidence, 6),
                len(case.weights),
                len(np.unique(case.slices)),
                case.best_slice,
            )
        )
    summary = [*origin, ("cases", str(len(table)))]
    if table:
        marks = [row[4] for row in table if row[4] is not None]
        right = sum(marks)
        share = f"{right} of {len(marks)} ({right / len(marks):.1%})" if marks else "not known"
        summary += [
            ("classes", " or ".join(map(str, sorted(classes)))),
            ("correct", share),
            ("patches", str(sum(row[6] for row in table))),
            ("slices with patches", str(sum(row[7] for row in table))),
            ("weights", f"{low:.6g} to {high:.6g}"),
        ]
    summary += [("rejected", str(len(rejected))), ("warnings", str(len(warnings)))]
    return Inventory(str(path), kind, summary, _CASE_COLUMNS, table, list(rejected), list(warnings))


def _describe_foreign(path: Path) -> Inventory:
    names = pickle_scan.globals_of(path.read_bytes())
    return Inventory(
        str(path),
        "pickle that fastcam refuses (nothing in it was run)",
        [("globals it asks for", str(len(names)))],
        ("global",),
        [(name,) for name in names],
    )


def _describe_tensors(path: Path, kind: str, tensors: list[TensorEntry]) -> Inventory:
    summary = [
        ("tensors", str(len(tensors))),
        ("numbers", str(sum(math.prod(tensor.shape) for tensor in tensors))),
        ("size", f"{path.stat().st_size} bytes"),
    ]
    table = [(tensor.name, tensor.dtype, list(tensor.shape)) for tensor in tensors]
    return Inventory(str(path), kind, summary, ("name", "dtype", "shape"), table)
