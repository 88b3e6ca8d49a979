"""The store of maps: create it, append a batch, read one map at a time.

The schema is that of :mod:`fastcam.store.map_schema`. A store is created under a temporary name and
renamed. A batch's data are written first, its reasons next, its status last, each file whole or not
at all: only the status says what is finished, and a batch without one is made again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError, InputError
from fastcam.options import Sign
from fastcam.read.inputs.slicing import SliceTable
from fastcam.storage.fetched_ahead import contents_ahead
from fastcam.storage.locations import as_path
from fastcam.storage.object_path import ObjectPath
from fastcam.storage.parallel import side_by_side
from fastcam.store import map_schema
from fastcam.store.evidence import shown_evidence
from fastcam.store.folder_names import folder_of
from fastcam.store.map_arrays import MapArrays
from fastcam.store.map_batch import BatchRows, array_attributes, validate_batch, whole_chunk
from fastcam.store.map_headers import has_outputs, headers_of
from fastcam.store.map_schema import DONE, FAILED, OPEN, MapAttrs, MapHeader
from fastcam.store.new_arrays import add_arrays
from fastcam.store.root import ZARR_ERRORS, described, read_root, storable, write_setting
from fastcam.store.shape_checks import check_store
from fastcam.store.slice_headers import RowFailure, case_headers, row_failures
from fastcam.store.slice_table import SLICES, read_table


class MapStore(MapArrays):
    """A store of maps on disk. Pickles as its path; each process opens the arrays it needs.

    ``append`` may be called from any thread; the calls run one after the other. Several processes
    may append, each its own batches, once the first batch is there. Reading is safe from several
    threads, also while a batch is appended. Another object sees what was finished when it first
    read the status. Readers raise InputError where the store is damaged and CaseError where a
    single map isn't there.

    ``root`` replaces the folder that sources are relative to, where the images have moved.
    """

    def __init__(self, path: Path, root: Path | None = None) -> None:
        super().__init__(path)
        self._new_root = root
        self._append_lock = threading.Lock()
        self._headers: tuple[MapHeader, ...] | None = None
        # Batches that are finished on the disk and open here.
        self._stale: set[int] = set()

    @classmethod
    def open(cls, path: Path, root: Path | None = None) -> MapStore:
        """The store at ``path``; InputError unless it is one of maps, of this schema, and whole."""
        store = cls(path, root)
        with described(path):
            _ = store.attrs
            check_store(path)
            _ = store.headers, store.map_names
        return store

    def __reduce__(self) -> tuple[type[MapStore], tuple[Path, Path | None]]:
        return MapStore, (self.path, self._new_root)

    def __repr__(self) -> str:
        return f"<run store {self.path}: {len(self)} cases, {', '.join(self.attrs.methods)}>"

    def __len__(self) -> int:
        """Number of images or volumes."""
        return self.row_count if self.table is None else self.table.count

    @cached_property
    def attrs(self) -> MapAttrs:
        """Where the maps come from."""
        raw = read_root(self.path)
        if raw.get("kind") != map_schema.KIND:
            raise InputError(
                f"{self.path}: is a run store of kind {raw.get('kind')!r:.40}, which holds no maps"
            )
        if missing := sorted(MapAttrs.__dataclass_fields__.keys() - raw.keys()):
            raise self._damaged(f"attribute {missing[0]!r} is missing")
        values = {name: raw[name] for name in MapAttrs.__dataclass_fields__}
        values["methods"], values["layers"] = tuple(values["methods"]), tuple(values["layers"])
        return MapAttrs(**values)

    @cached_property
    def table(self) -> SliceTable | None:
        """The rows of volumes that the model saw slice by slice; None where a row is an image or a
        volume."""
        try:
            return read_table(self.path)
        except ZARR_ERRORS as error:
            raise self._damaged(f"slices: {error}") from error

    def axis(self, index: int) -> int:
        """The axis, of the (z, y, x) of its file, that the slices of a volume are stacked along;
        its header's shape and affine have that one first."""
        return 0 if self.table is None else int(self.table.axis[index])

    def set_rule(self, name: str, value: str) -> None:
        """Change a setting by which the store is read: "pool", how the answers of slices become
        that of their case, or "sign", which evidence is shown."""
        if value == self.attrs.settings[name]:
            return
        write_setting(self.path, name, value)
        with self._state_lock:
            del self.__dict__["attrs"]
            self._headers = None

    @property
    def root(self) -> Path:
        """The folder that sources are relative to."""
        return self._new_root or as_path(self.attrs.root)

    @property
    def headers(self) -> tuple[MapHeader, ...]:
        """Every image without its maps, in the order of the run."""
        with self._state_lock:
            if self._headers is None:
                with described(self.path):
                    self._headers = self._read_headers()
            return self._headers

    def map(self, name: str, index: int) -> NDArray[np.float32]:
        """Map ``name`` of the 0-based image or volume ``index``, raw, neither rectified nor
        scaled, at the layer's resolution; a copy.

        Of a volume that was seen slice by slice: those of its finished slices along z, which are
        ``headers[index].slices.index``. CaseError where it isn't finished, has failed, or its map
        is gone.
        """
        self._attributes_of(name)
        return self._row(f"maps/{name}", index)

    def shown_map(self, name: str, index: int, sign: Sign | None = None) -> NDArray[np.float32]:
        """What is shown of ``map``: of evidence what ``sign`` says, by default the run's own."""
        values = self.map(name, index)
        return shown_evidence(values, sign or self.attrs.sign) if self.is_signed(name) else values

    def gate(self, name: str, index: int) -> NDArray[np.float32]:
        """The channel gates (c,), 0 to 1, of a module for a row; CaseError as for ``map``."""
        if name not in self.gate_names:
            raise InputError(f"{self.path}: has no channel gates {name!r}")
        return self._row(f"gates/{name}", index)

    def label_map(self, index: int) -> NDArray[np.int32] | None:
        """Of a segmentation the class (h, w) or (d, h, w) predicted of every pixel of the model's
        output for a row; None of other stores. CaseError as for ``map``."""
        if not self._has_labels:
            return None
        return self._row(map_schema.LABELS, index).astype(np.int32)

    @cached_property
    def _has_labels(self) -> bool:
        # Asked of rows that are done, when the arrays of all columns are there.
        return self._has(map_schema.LABELS)

    def output_file(self, index: int) -> Path:
        """The file with the model's output for image or volume ``index``, there or not: what it
        holds changes when the image, or one of the same batch, is run again."""
        row = index if self.table is None else self.table.rows(index).start
        name = f"{self._by_row}/output"
        if not self._has(name):
            return self.path / name
        array = self._array(name)
        return array.path(row // array.rows)

    def _row(self, name: str, index: int) -> NDArray[np.float32]:
        header = self.headers[index]
        if header.status == map_schema.STATUS[FAILED]:
            raise CaseError(f"{header.id}: has no map: {header.reason}")
        if header.status != map_schema.STATUS[DONE]:
            raise CaseError(
                f"{header.id}: has no map yet; run fastcam infer again to finish the store"
            )
        index %= len(self)
        if self.table is None:
            return self._values(name, index, header.id)
        finished = [row for row in self.table.rows(index) if self._known_status[row] == DONE]
        return np.stack([self._values(name, row, header.id) for row in finished], axis=-3)

    def reopen(self, cases: Iterable[int]) -> None:
        """Let the batches of the 0-based images or volumes ``cases`` be run again.

        For this object at once; on the disk each stays what it is until ``append`` replaces it.
        """
        with self._state_lock:
            status = self._known_status
            for case in cases:
                own = range(case, case + 1) if self.table is None else self.table.rows(case)
                for number in {row // self.batch for row in own}:
                    span = self.rows(number)
                    status[span.start : span.stop] = OPEN
                    self._stale.add(number)
            self._headers = None

    def write_reopened(self) -> None:
        """What was reopened is open on the disk as well, for other processes to run."""
        with self._append_lock:
            for number in sorted(self._stale):
                self._write_open(number)
            self._stale.clear()

    def _write_open(self, number: int) -> None:
        rows = self.rows(number)
        status = np.full(len(rows), OPEN, np.int8)
        self._array("done/status").write_rows(rows.start, status, durable=True)

    def append(self, index: int, rows: BatchRows) -> None:
        """Write batch ``index`` and mark each of its rows as done or failed.

        Rows whose maps or output are not finite numbers become failed ones. OutputError when the
        disk is full and the like: the batch is then still open. InputError when the maps are not
        like those of the batches before.
        """
        indices, batch = self.rows(index), validate_batch(rows)
        if len(batch.reasons) != len(indices):
            raise ValueError(f"batch {index} has {len(indices)} rows, not {len(batch.reasons)}")
        reasons = [storable(reason) for reason in batch.reasons]
        status = np.array([FAILED if reason else DONE for reason in reasons], np.int8)
        with self._append_lock:
            if index in self._stale:
                # From here on until the end it is neither the old batch nor the new one.
                self._write_open(index)
                self._stale.discard(index)
            columns = self._placed(batch.columns) if len(batch.good) else {}
            if columns:
                self._grow(columns, rows)

            def write(column: tuple[str, NDArray[Any]]) -> None:
                array = self._array(column[0])
                rows_of_batch = whole_chunk(column[1], batch.good, len(indices), array.fill)
                array.write_rows(indices.start, rows_of_batch, durable=True)

            if isinstance(self.path, ObjectPath):
                side_by_side(write, columns.items())
            else:
                for column in columns.items():
                    write(column)
            reason_array = self._array("done/reason")
            reason_array.write_rows(indices.start, np.array(reasons, object), durable=True)
            # All else is on the disk itself by now: also after a power cut a batch that is said to
            # be done is there.
            self._array("done/status").write_rows(indices.start, status, durable=True)
            with self._state_lock:
                self._known_status[indices.start : indices.stop] = status
                self._headers = None

    def _placed(self, columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Columns by their names in this store: what is known of slices is in ``slices/``."""
        if self.table is None:
            return columns
        return {name.replace("cases/", f"{SLICES}/", 1): values for name, values in columns.items()}

    def _grow(self, columns: dict[str, NDArray[Any]], rows: BatchRows) -> None:
        """Make the arrays whose shape only a finished batch tells, those that aren't there yet.

        After a kill in between some may be there already; they are empty, and used.
        """
        names = [name.removeprefix("maps/") for name in columns if name.startswith("maps/")]
        if (self._known_status == DONE).any() and set(names) != set(self.map_names):
            raise InputError(
                f"{self.path}: holds the maps {', '.join(self.map_names)}, this run makes "
                f"{', '.join(names)}; remove the store or choose another output folder"
            )
        dims = self.attrs.dims if self.table is None else 2
        new = {name: values for name, values in columns.items() if name not in self._arrays}
        if new:
            attributes = partial(array_attributes, columns=list(columns), rows=rows, dims=dims)
            add_arrays(self.path, new, self.row_count, self.batch, attributes)
            self._map_table = None
        with contents_ahead(self.path / folder_of(name) / "zarr.json" for name in new):
            for name in new:
                self._array(name)
        for name, values in columns.items():
            shape = self._array(name).tail
            if shape != values.shape[1:]:
                raise InputError(
                    f"{self.path}: {name} has shape {shape} for each image, but this run makes "
                    f"{values.shape[1:]}; remove the store or choose another output folder"
                )

    @property
    def _by_row(self) -> str:
        """The group of what is known of each row."""
        return map_schema.CASES if self.table is None else SLICES

    def _read_headers(self) -> tuple[MapHeader, ...]:
        kinds = [entry["kind"] for entry in self.attrs.settings.get("inputs", ())]
        names = (*map_schema.TEXTS, *(f"input{number}" for number in range(len(kinds))))
        texts = {name: self._read(f"cases/{name}") for name in names}
        rows: dict[str, Any] = {
            name: self._read(f"{self._by_row}/{name}")
            for name in ("shape", "prediction", "confidence")
        }
        rows["reason"], rows["status"] = self._read("done/reason"), self._known_status
        # Pictures have none, and their missing chunks would be looked for in every batch.
        if self.attrs.dims == 3:
            rows["affine"] = self._read(f"{self._by_row}/affine")
        for name in map_schema.GROWN:
            if self._has(f"{self._by_row}/{name}"):
                rows[name] = self._column(f"{self._by_row}/{name}")
        wrong = {len(column) for column in rows.values()} != {self.row_count}
        wrong = wrong or {len(column) for column in texts.values()} != {len(self)}
        if wrong or "" in texts["id"].tolist():
            raise self._damaged("its cases/ arrays don't belong together")
        finished = rows["status"] == DONE
        if finished.any() and not has_outputs(rows.get("output"), finished):
            raise self._damaged("outputs of finished images are missing")
        if self.table is None:
            return headers_of({**texts, **rows}, self.root, kinds)
        return case_headers(texts, rows, self.table, self.root, self.attrs.settings["pool"])

    @property
    def failures(self) -> list[RowFailure]:
        """What failed, in the order of the run."""
        if self.table is not None:
            reasons = self._read("done/reason").tolist()
            return row_failures(self._known_status, reasons, self.table)
        return [
            RowFailure(header.place - 1, None, 1, header.reason)
            for header in self.headers
            if header.status == map_schema.STATUS[FAILED]
        ]

    def case_of(self, row: int) -> int:
        """The 0-based image or volume that a row belongs to."""
        return row if self.table is None else int(self.table.cases[row])
