"""What is in a results file, a run store or a checkpoint, without running any of it."""

from __future__ import annotations

import json
import math
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fastcam.errors import InputError
from fastcam.read.results import pickle_scan
from fastcam.read.results.case import Case
from fastcam.read.results.pickles import ForeignGlobalError
from fastcam.read.results.results import (
    PICKLE_SUFFIXES,
    CaseWarning,
    RejectedCase,
    Results,
    read_results,
)
from fastcam.read.results.scalars import printable
from fastcam.read.results.tensors import TORCH_ERRORS, load_torch
from fastcam.store.map_schema import STATUS
from fastcam.store.maps import MapStore
from fastcam.store.open import open_store
from fastcam.store.patches import RunStore

READABLE = (
    "a results file (.pkl, .pickle, .npz, .json), a run store (.zarr) or a checkpoint "
    "(.safetensors, .pth, .pt, .ckpt)"
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
# Real headers of safetensors are below a megabyte; their own reader stops at 100 MB.
_MOST_HEADER = 100_000_000


@dataclass(frozen=True)
class Inventory:
    """What a file or a store holds.

    - ``path``, ``kind``: which file, and of what kind
    - ``summary``: rows of (what, value)
    - ``columns``, ``table``: the heads of a table, and its rows
    - ``rejected``, ``warnings``: the cases of a results file that can't be used, and those with
      something odd
    """

    path: str
    kind: str
    summary: list[tuple[str, str]]
    columns: tuple[str, ...] = ()
    table: list[tuple[Any, ...]] = field(default_factory=list)
    rejected: list[RejectedCase] = field(default_factory=list)
    warnings: list[CaseWarning] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dicts, text and numbers, ready for ``json.dumps``."""
        return {
            "path": self.path,
            "kind": self.kind,
            "summary": dict(self.summary),
            "table": [dict(zip(self.columns, row, strict=True)) for row in self.table],
            "rejected": [asdict(entry) for entry in self.rejected],
            "warnings": [asdict(entry) for entry in self.warnings],
        }


def describe(path: Path) -> Inventory:
    """Look into ``path``; InputError when it is nothing that fastcam reads, or is damaged.

    A pickle that asks for something foreign is described by what it asks for; none of it runs.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        store = open_store(path)
        return _describe_maps(store) if isinstance(store, MapStore) else _describe_store(store)
    if not path.exists():
        raise InputError(f"{path}: does not exist")
    if suffix == ".safetensors":
        return _describe_tensors(path, "checkpoint (safetensors)", _safetensors(path))
    if suffix in (".pt", ".pth", ".ckpt"):
        tensors = _torch_tensors(path)
        if tensors or suffix == ".ckpt":
            return _describe_tensors(path, "checkpoint (torch)", tensors)
    if suffix in (*PICKLE_SUFFIXES, ".npz", ".json"):
        try:
            return _describe_results(read_results(path))
        except InputError as error:
            if isinstance(error.__cause__, ForeignGlobalError):
                return _describe_foreign(path)
            raise
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
        ("layers", ", ".join(attrs.layers) or "none"),
        ("images" if attrs.dims == 2 else "volumes", str(len(headers))),
        *((status, str(counts[status])) for status in STATUS),
        ("batches left", f"{len(store.unfinished())} of {store.batches}, of {store.batch}"),
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
        known = [row[4] for row in table if row[4] is not None]
        right = sum(known)
        share = f"{right} of {len(known)} ({right / len(known):.1%})" if known else "not known"
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


@dataclass(frozen=True)
class _Tensor:
    name: str
    dtype: str
    shape: tuple[int, ...]


def _describe_tensors(path: Path, kind: str, tensors: list[_Tensor]) -> Inventory:
    summary = [
        ("tensors", str(len(tensors))),
        ("numbers", str(sum(math.prod(tensor.shape) for tensor in tensors))),
        ("size", f"{path.stat().st_size} bytes"),
    ]
    table = [(tensor.name, tensor.dtype, list(tensor.shape)) for tensor in tensors]
    return Inventory(str(path), kind, summary, ("name", "dtype", "shape"), table)


def _safetensors(path: Path) -> list[_Tensor]:
    """The header: 8 bytes of little-endian length, then JSON of name -> dtype, shape, offsets."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_MOST_HEADER, path.stat().st_size - 8):
                raise InputError(f"{path}: is no whole safetensors file (header of {length} bytes)")
            header = json.loads(file.read(length))
        return [
            _Tensor(name, str(entry["dtype"]), tuple(int(n) for n in entry["shape"]))
            for name, entry in header.items()
            if name != "__metadata__"
        ]
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: its safetensors header is damaged ({error})") from error


def _torch_tensors(path: Path) -> list[_Tensor]:
    """The tensors of a checkpoint, nested names joined by dots; none if it holds something else."""
    import torch

    try:
        mmap = zipfile.is_zipfile(path)
        loaded = load_torch(path, mmap)
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except TORCH_ERRORS as error:
        if path.suffix.lower() == ".ckpt":
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"{path}: torch.load(weights_only=True) refuses it: {reason:.300}"
            ) from error
        return []
    tensors: list[_Tensor] = []
    waiting: list[tuple[str, Any]] = [("", loaded)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, torch.Tensor):
            dtype = str(value.dtype).removeprefix("torch.")
            tensors.append(_Tensor(name or "(the file)", dtype, tuple(value.shape)))
        elif isinstance(value, dict) and name.count(".") < 20:
            keys = [key if isinstance(key, str) else printable(key) for key in value]
            inner = [
                (f"{name}.{key}" if name else key, part)
                for key, part in zip(keys, value.values(), strict=True)
            ]
            waiting += reversed(inner)
    return tensors
