"""The store of maps: create it, append a batch, read one map at a time.

The schema is that of :mod:`fastcam.store.map_schema`. A store is created under a temporary name and
renamed. A batch's data are written first, its reasons next, its status last, each file whole or not
at all: only the status says what is finished, and a batch without one is made again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError, InputError
from fastcam.read.inputs.inputs import Item
from fastcam.run.files import new_folder
from fastcam.store import map_schema
from fastcam.store.chunks import Chunks
from fastcam.store.map_batch import BatchRows, validate_batch, whole_chunk
from fastcam.store.map_schema import DONE, FAILED, MapAttrs, MapHeader
from fastcam.store.root import ZARR_ERRORS, read_root, storable

if TYPE_CHECKING:
    import zarr


def create_maps(path: Path, attrs: MapAttrs, items: Sequence[Item], batch: int) -> MapStore:
    """Make a store for ``items``, ``batch`` of them a chunk, with every one still open.

    Raises :class:`OutputError` when something is there already or it can't be written; nothing
    half-written stays behind.
    """
    if not items or batch < 1:
        raise InputError(f"{path}: a store needs at least one image and a batch of at least one")
    with new_folder(path) as temporary:
        map_schema.write_skeleton(temporary, attrs, items, batch)
    return MapStore.open(path)


class MapStore:
    """A store of maps on disk. Pickles as its path; each process opens the arrays it needs.

    ``append`` may be called from any thread; the calls run one after the other. It must be one
    process, and one object, that appends. Reading is safe from several threads, also while a batch
    is appended. Another object sees what was finished when it first read the status. Readers raise
    InputError where the store is damaged and CaseError where a single map isn't there.

    ``root`` replaces the folder that sources are relative to, where the images have moved.
    """

    def __init__(self, path: Path, root: Path | None = None) -> None:
        self.path = path
        self._new_root = root
        self._append_lock, self._state_lock = threading.Lock(), threading.RLock()
        self._arrays: dict[str, Chunks] = {}
        self._last_chunks: dict[str, tuple[int, NDArray[Any]]] = {}
        self._headers: tuple[MapHeader, ...] | None = None
        self._status: NDArray[np.int8] | None = None
        self._map_table: dict[str, dict[str, Any]] | None = None

    @classmethod
    def open(cls, path: Path, root: Path | None = None) -> MapStore:
        """The store at ``path``; InputError unless it is one of maps, of this schema, and whole."""
        store = cls(path, root)
        _ = store.attrs, store.headers, store.map_names
        return store

    def __reduce__(self) -> tuple[type[MapStore], tuple[Path, Path | None]]:
        return MapStore, (self.path, self._new_root)

    def __repr__(self) -> str:
        return f"MapStore({str(self.path)!r})"

    def __len__(self) -> int:
        return len(self._known_status)

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

    @property
    def root(self) -> Path:
        """The folder that sources are relative to."""
        return self._new_root or Path(self.attrs.root)

    @property
    def batch(self) -> int:
        """How many rows a batch has; the last may have fewer."""
        return self._array("done/status").rows

    @property
    def batches(self) -> int:
        """How many batches there are, finished or not."""
        return -(-len(self) // self.batch)

    def rows(self, index: int) -> range:
        """The 0-based rows of batch ``index``."""
        if not 0 <= index < self.batches:
            raise IndexError(f"batch {index} of {self.batches}")
        return range(index * self.batch, min((index + 1) * self.batch, len(self)))

    def unfinished(self) -> list[int]:
        """The indices of the batches that are not finished, in order."""
        status = self._known_status
        return [i for i in range(self.batches) if (status[self.rows(i)] == map_schema.OPEN).any()]

    @property
    def headers(self) -> tuple[MapHeader, ...]:
        """Every image without its maps, in the order of the run."""
        with self._state_lock:
            if self._headers is None:
                self._headers = self._read_headers()
            return self._headers

    @property
    def map_names(self) -> tuple[str, ...]:
        """``METHOD/LAYER`` or ``METHOD``, in the order the maps came; none before the first."""
        return tuple(self._map_attributes)

    def axes(self, name: str) -> tuple[str, ...]:
        """What the axes of ``map(name, index)`` are: ``("y", "x")``, ``("target", "z", "y", "x")``,
        ``("layer", "head", "y", "x")`` and the like."""
        return tuple(self._attributes_of(name)["axes"][1:])

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of every ``map(name, index)``."""
        self._attributes_of(name)
        return self._array(f"maps/{name}").tail

    def layer_names(self, name: str) -> tuple[str, ...]:
        """The layers along the axis "layer"; empty where there is no such axis."""
        return tuple(self._attributes_of(name)["layer_names"])

    def map(self, name: str, index: int) -> NDArray[np.float32]:
        """Map ``name`` of the 0-based row ``index``, raw, at the layer's resolution; a copy.

        CaseError where the row isn't finished, has failed, or its map is gone.
        """
        self._attributes_of(name)
        return self._row(f"maps/{name}", index)

    def note(self, name: str) -> str:
        """What figures must say of map ``name``, "" for nothing."""
        return str(self._attributes_of(name).get("note", ""))

    @property
    def gate_names(self) -> tuple[str, ...]:
        """Dotted paths of the modules whose channel gates are stored, in the model's order."""
        try:
            return map_schema.read_gate_names(self.path)
        except ZARR_ERRORS as error:
            raise self._damaged(f"gates: {error}") from error

    def gate(self, name: str, index: int) -> NDArray[np.float32]:
        """The channel gates (c,), 0 to 1, of a module for a row; CaseError as for ``map``."""
        if name not in self.gate_names:
            raise InputError(f"{self.path}: has no channel gates {name!r}")
        return self._row(f"gates/{name}", index)

    def _row(self, name: str, index: int) -> NDArray[np.float32]:
        status = int(self._known_status[index])
        header = self.headers[index]
        if status == FAILED:
            raise CaseError(f"{header.id}: has no map: {header.reason}")
        if status != DONE:
            raise CaseError(
                f"{header.id}: has no map yet; run fastcam infer again to finish the store"
            )
        index %= len(self)
        first = index // self.batch
        last = self._last_chunks.get(name)
        # Maps are mostly read one after the other: the chunk read last is kept.
        if last is None or last[0] != first:
            try:
                last = first, self._array(name).read(first)
            except ZARR_ERRORS as error:
                raise CaseError(f"{header.id}: {self._damaged_map(name)}: {error}") from error
            self._last_chunks[name] = last
        values: NDArray[np.float32] = last[1][index - first * self.batch].astype(np.float32)
        if not np.isfinite(values).all():
            raise CaseError(f"{header.id}: {self._damaged_map(name)}")
        return values

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
            if len(batch.good):
                self._grow(batch.columns, rows)
            for name, values in batch.columns.items():
                array = self._array(name)
                array.write(index, whole_chunk(values, batch.good, len(indices), array.fill))
            self._array("done/reason").write(index, np.array(reasons, dtype=object))
            self._array("done/status").write(index, status)
            with self._state_lock:
                self._known_status[indices.start : indices.stop] = status
                self._headers = None
                self._last_chunks.clear()

    def _grow(self, columns: dict[str, NDArray[Any]], rows: BatchRows) -> None:
        """Make the arrays whose shape only a finished batch tells, those that aren't there yet.

        After a kill in between some may be there already; they are empty, and used.
        """
        import zarr

        names = [name.removeprefix("maps/") for name in columns if name.startswith("maps/")]
        if (self._known_status == DONE).any() and set(names) != set(self.map_names):
            raise InputError(
                f"{self.path}: holds the maps {', '.join(self.map_names)}, this run makes "
                f"{', '.join(names)}; remove the store or choose another output folder"
            )
        root: zarr.Group | None = None
        for name, values in columns.items():
            if not (self.path / name / "zarr.json").exists():
                root = root or zarr.open_group(self.path, mode="r+", zarr_format=3)
                attributes: dict[str, Any] = {}
                parent, _, own = name.partition("/")
                if parent == "maps":
                    attributes = map_schema.map_attributes(
                        map_schema.axes_of(values.ndim, self.attrs.dims),
                        number=names.index(own),
                        count=len(names),
                        layers=rows.layer_names.get(own, ()),
                        note=rows.notes.get(own, ""),
                    )
                elif parent == "gates":
                    attributes = {"place": list(columns).index(name)}
                map_schema.create_batch_array(
                    root, name, values, count=len(self), batch=self.batch, attributes=attributes
                )
                self._map_table = None
            shape = self._array(name).tail
            if shape != values.shape[1:]:
                raise InputError(
                    f"{self.path}: {name} has shape {shape} for each image, but this run makes "
                    f"{values.shape[1:]}; remove the store or choose another output folder"
                )

    def _read_headers(self) -> tuple[MapHeader, ...]:
        columns: dict[str, Any] = {
            name: self._read(f"cases/{name}")
            for name in (*map_schema.TEXTS, "shape", "prediction", "confidence")
        }
        columns["reason"], columns["status"] = self._read("done/reason"), self._known_status
        # Pictures have none, and their missing chunks would be looked for in every batch.
        if self.attrs.dims == 3:
            columns["affine"] = self._read("cases/affine")
        for name in map_schema.GROWN:
            if (self.path / "cases" / name / "zarr.json").exists():
                columns[name] = self._read(f"cases/{name}")
        lengths = {len(column) for column in columns.values()}
        if len(lengths) != 1 or "" in columns["id"].tolist():
            raise self._damaged("its cases/ arrays don't belong together")
        done = columns["status"] == DONE
        if done.any() and not ("output" in columns and np.isfinite(columns["output"][done]).all()):
            raise self._damaged("outputs of finished images are missing")
        return map_schema.headers_of(columns, self.root)

    @property
    def _map_attributes(self) -> dict[str, dict[str, Any]]:
        """The attributes of each map array by its name, in order."""
        with self._state_lock:
            if self._map_table is None:
                try:
                    self._map_table = map_schema.read_map_table(self.path)
                except ZARR_ERRORS as error:
                    raise self._damaged(f"maps: {error}") from error
                if not self._map_table and (self._known_status == DONE).any():
                    raise self._damaged("some of its maps/ arrays are gone")
            return self._map_table

    def _attributes_of(self, name: str) -> dict[str, Any]:
        try:
            return self._map_attributes[name]
        except KeyError:
            names = ", ".join(self.map_names) or "none yet"
            raise InputError(f"{self.path}: has no map {name!r}; there are: {names}") from None

    @property
    def _known_status(self) -> NDArray[np.int8]:
        with self._state_lock:
            if self._status is None:
                status = self._read("done/status")
                if status.ndim != 1 or len(status) == 0 or not np.isin(status, (0, 1, 2)).all():
                    raise self._damaged("its done/status is none")
                self._status = status
            return self._status

    def _array(self, name: str) -> Chunks:
        array = self._arrays.get(name)
        if array is None:
            try:
                array = self._arrays[name] = Chunks(self.path / name)
            except ZARR_ERRORS as error:
                raise self._damaged(f"{name}: {error}") from error
        return array

    def _read(self, name: str) -> NDArray[Any]:
        try:
            return self._array(name).read_all()
        except ZARR_ERRORS as error:
            raise self._damaged(f"{name}: {error}") from error

    def _damaged_map(self, name: str) -> str:
        return (
            f"its map {name.partition('/')[2]} in {self.path} is damaged or gone; remove the store "
            "and run fastcam infer again"
        )

    def _damaged(self, what: str) -> InputError:
        return InputError(
            f"{self.path}: the run store is damaged ({what}); remove it and run fastcam infer again"
        )
