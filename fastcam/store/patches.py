"""The run store: the Zarr schema of one run; create, open, read one case at a time.

    run.zarr    attrs: schema, fastcam, kind, source, sha256, created, rejected, warnings
      cases/    id (n,) text · place (n,) int32 · label, prediction (n,) int32 · correct (n,) bool
                confidence (n,) float64 · probability (n, classes) float64, NaN past a case's own
      patches/  weight (P,) float32 · box (P, 4) int32, x1 y1 x2 y2 · slice, roi (P,) int32 ·
                mask_ratio (P,) float32 · case_offset (n + 1,) int64

Case i holds the patches ``case_offset[i]`` up to ``case_offset[i + 1]``. A store is written under
a temporary name and renamed, so a store that exists is complete.
"""

from __future__ import annotations

import datetime
import math
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam._version import __version__
from fastcam.errors import InputError
from fastcam.read.results.case import Case, CasePrediction
from fastcam.read.results.results import CaseWarning, RejectedCase, Results
from fastcam.run.files import new_folder
from fastcam.store.chunk_files import Chunks
from fastcam.store.lazy_columns import LAZY_BYTES, LazyColumn, LazyField
from fastcam.store.notebook_table import NotebookTable
from fastcam.store.patch_columns import (
    CASE_COLUMNS,
    MISSING,
    PATCH_COLUMNS,
    write_cases,
    write_patches,
)
from fastcam.store.root import SCHEMA_VERSION, ZARR_ERRORS, described, read_root, storable
from fastcam.store.shape_checks import check_store

KIND = "patch-attention"


@dataclass(frozen=True)
class StoreAttrs:
    """Where a store comes from.

    Attributes:
        schema: version of the store's schema.
        fastcam: version of fastcam that made the store.
        kind: ``patch-attention``.
        source: name of the results file, or of the model that was run.
        sha256: the results file's, or the fingerprint of model, settings and inputs.
        created: when the store was made, UTC, ISO 8601.
    """

    schema: int
    fastcam: str
    kind: str
    source: str
    sha256: str
    created: str


@dataclass(frozen=True, kw_only=True)
class CaseHeader(CasePrediction):
    """A case without its patches, of which there are ``patches``."""

    probabilities: LazyField[tuple[float, ...]] = LazyField()  # noqa: RUF009
    patches: int


def create_from_results(path: Path, results: Results) -> RunStore:
    """Write ``results`` as a new store at ``path`` and open it.

    Raises :class:`OutputError` when something is there already or the store can't be written;
    nothing half-written stays behind.
    """
    with new_folder(path) as temporary:
        _write(temporary, results)
    return open_store(path)


def open_store(path: Path) -> RunStore:
    """Open the store at ``path``; InputError unless it is one, whole and of this schema."""
    store = RunStore(path)
    with described(path):
        _ = store.attrs
        check_store(path)
        _ = store.cases
    return store


def _write(path: Path, results: Results) -> None:
    import zarr

    attrs = StoreAttrs(
        schema=SCHEMA_VERSION,
        fastcam=__version__,
        kind=KIND,
        source=results.source.name,
        sha256=results.sha256,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds"),
    )
    lists = {
        "rejected": [dict(vars(entry)) for entry in results.rejected],
        "warnings": [dict(vars(entry)) for entry in results.warnings],
    }
    root = zarr.create_group(path, zarr_format=3, attributes=storable(asdict(attrs) | lists))
    write_cases(root.create_group("cases"), results.cases)
    write_patches(root.create_group("patches"), results.cases)


class RunStore(NotebookTable):
    """A run store on disk. Pickles as its path; each process opens the arrays when it needs them.

    Reading is safe from several threads. Every reader raises InputError when the store is
    damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last_chunks: dict[str, tuple[int, NDArray[Any]]] = {}

    def __reduce__(self) -> tuple[type[RunStore], tuple[Path]]:
        return RunStore, (self.path,)

    def __repr__(self) -> str:
        return f"<run store {self.path}: {len(self.cases)} cases, patch attention>"

    @cached_property
    def attrs(self) -> StoreAttrs:
        """Where the store comes from."""
        raw = self._raw_attrs
        return StoreAttrs(**{name: raw[name] for name in StoreAttrs.__dataclass_fields__})

    @cached_property
    def rejected(self) -> tuple[RejectedCase, ...]:
        """The cases of the results file that could not be used, with the reasons."""
        return tuple(RejectedCase(**entry) for entry in self._raw_attrs["rejected"])

    @cached_property
    def warnings(self) -> tuple[CaseWarning, ...]:
        """What was odd about cases that are used all the same."""
        return tuple(CaseWarning(**entry) for entry in self._raw_attrs["warnings"])

    @cached_property
    def cases(self) -> tuple[CaseHeader, ...]:
        """Every case without its patches, in the results file's order."""
        columns = {name: self._read(f"cases/{name}").tolist() for name in ("id", *CASE_COLUMNS)}
        probabilities = self._probabilities()
        counts = np.diff(self._offsets).tolist()
        lengths = {len(counts), len(probabilities), *map(len, columns.values())}
        if len(lengths) != 1 or MISSING in columns["place"] or "" in columns["id"]:
            raise self._damaged("its cases/ arrays don't belong together")
        return tuple(
            CaseHeader(
                place=columns["place"][i],
                name=columns["id"][i],
                true_label=None if columns["label"][i] == MISSING else columns["label"][i],
                predicted_label=columns["prediction"][i],
                correct=None if columns["label"][i] == MISSING else columns["correct"][i],
                confidence=columns["confidence"][i],
                probabilities=probabilities[i],
                patches=counts[i],
            )
            for i in range(len(counts))
        )

    def case(self, index: int) -> Case:
        """The case at 0-based ``index`` in ``cases``, with its patches read from disk."""
        header = self.cases[index]
        start = int(self._offsets[index % len(self.cases)])
        stop = start + header.patches
        columns = {name: self._rows(f"patches/{name}", start, stop) for name in PATCH_COLUMNS}
        boxes, weights = columns["box"], columns["weight"]
        # A chunk that is gone reads as its fill value, which no checked patch can have.
        if np.isnan(weights).any() or not (boxes[:, 2:] > boxes[:, :2]).all():
            raise self._damaged(f"patches of case {header.name!r} are missing")
        prediction = {field.name: getattr(header, field.name) for field in fields(CasePrediction)}
        return Case(
            **prediction,
            weights=weights,
            boxes=boxes,
            slices=columns["slice"],
            roi=columns["roi"],
            mask_ratio=columns["mask_ratio"],
        )

    @cached_property
    def _offsets(self) -> NDArray[np.int64]:
        offsets: NDArray[np.int64] = self._read("patches/case_offset")
        if len(offsets) == 0 or offsets[0] != 0 or (np.diff(offsets) < 1).any():
            raise self._damaged("its patches/case_offset doesn't rise from 0")
        return offsets

    @cached_property
    def _arrays(self) -> dict[str, Chunks]:
        names = [f"cases/{name}" for name in ("id", *CASE_COLUMNS, "probability")]
        names += [f"patches/{name}" for name in ("case_offset", *PATCH_COLUMNS)]
        try:
            return {name: Chunks(self.path / name) for name in names}
        except ZARR_ERRORS as error:
            raise self._damaged(str(error)) from error

    @cached_property
    def _raw_attrs(self) -> dict[str, Any]:
        attrs = read_root(self.path)
        if attrs.get("kind", KIND) != KIND:
            raise InputError(
                f"{self.path}: is a run store of kind {attrs['kind']!r:.40}, not of {KIND}"
            )
        expected = {*StoreAttrs.__dataclass_fields__, "rejected", "warnings"}
        if missing := sorted(expected - attrs.keys()):
            raise self._damaged(f"attribute {missing[0]!r} is missing")
        return attrs

    def _read(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        array = self._arrays[name]
        try:
            return array.read_rows(start, array.count if stop is None else min(stop, array.count))
        except ZARR_ERRORS as error:
            raise self._damaged(f"{name}: {error}") from error

    def _probabilities(self) -> Any:
        """Of each case the probabilities of its own classes, of a large store read when used."""
        array = self._arrays["cases/probability"]
        if array.bytes > LAZY_BYTES:
            return LazyColumn(array.count, self._probabilities_of)
        rows = self._read("cases/probability").tolist()
        return [tuple(p for p in row if not math.isnan(p)) for row in rows]

    def _probabilities_of(self, index: int) -> tuple[float, ...]:
        row = self._rows("cases/probability", index, index + 1)[0]
        return tuple(row[~np.isnan(row)].tolist())

    def _rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Rows of an array.

        The chunk read last is kept, since cases are mostly read one after the other and many share
        a chunk: 0.2 ms a case instead of 2.6.
        """
        length = self._arrays[name].rows
        first = start // length * length
        if stop > first + length:
            return self._read(name, start, stop)
        last = self._last_chunks.get(name)
        if last is None or last[0] != first:
            last = (first, self._read(name, first, first + length))
            self._last_chunks[name] = last
        return last[1][start - first : stop - first].copy()

    def _damaged(self, problem: str) -> InputError:
        return InputError(
            f"{self.path}: the run store is damaged ({problem}); remove it and import the results "
            "file again"
        )
