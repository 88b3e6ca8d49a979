"""The arrays of a store of maps row by row: what is finished, and the values of one row at a time.

A row is what a model was given once: an image, a volume, or a slice of one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError, InputError
from fastcam.store.chunk_files import Chunks
from fastcam.store.folder_names import folder_of
from fastcam.store.lazy_columns import LAZY_BYTES, LazyColumn
from fastcam.store.map_schema import DONE, FAILED, OPEN
from fastcam.store.notebook_table import NotebookTable
from fastcam.store.root import ZARR_ERRORS


class RowArrays(NotebookTable):
    """The arrays of the store at ``path`` that batches of rows write, read chunk by chunk.

    A batch is one chunk, or several. Readers raise InputError where the store is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state_lock = threading.RLock()
        self._arrays: dict[str, Chunks] = {}
        self._status: NDArray[np.int8] | None = None

    @property
    def row_count(self) -> int:
        """How many rows there are, finished or not."""
        return len(self._known_status)

    @property
    def batch(self) -> int:
        """How many rows a batch has; the last may have fewer."""
        return self._array("done/status").rows

    @property
    def batches(self) -> int:
        """How many batches there are, finished or not."""
        return -(-self.row_count // self.batch)

    def rows(self, index: int) -> range:
        """The 0-based rows of batch ``index``."""
        if not 0 <= index < self.batches:
            raise IndexError(f"batch {index} of {self.batches}")
        return range(index * self.batch, min((index + 1) * self.batch, self.row_count))

    def unfinished(self) -> list[int]:
        """The indices of the batches that are not finished, in order."""
        return self.open_among(range(self.batches))

    def open_among(self, batches: Iterable[int]) -> list[int]:
        """Those of some ``batches`` that are not finished."""
        status = self._known_status
        return [i for i in batches if (status[self.rows(i)] == OPEN).any()]

    def refresh(self, batches: Iterable[int]) -> None:
        """Read anew which rows of some ``batches`` are finished: other processes append, too."""
        status = self._array("done/status")
        with self._state_lock:
            for number in batches:
                rows = self.rows(number)
                self._known_status[rows.start : rows.stop] = status.read(number)

    def counts(self, batches: Iterable[int]) -> tuple[int, int]:
        """How many rows of some ``batches`` are finished, and how many have failed."""
        parts = [self._known_status[self.rows(number)] for number in batches]
        status = np.concatenate(parts) if parts else np.empty(0, np.int8)
        return int((status == DONE).sum()), int((status == FAILED).sum())

    def done_rows(self) -> int:
        """How many rows are finished and have not failed."""
        return int((self._known_status == DONE).sum())

    def open_rows(self) -> int:
        """How many rows are not finished."""
        return int((self._known_status == OPEN).sum())

    def _values(self, name: str, row: int, case: str) -> NDArray[np.float32]:
        """A finished row of array ``name``, of the image called ``case``; a copy.

        CaseError where it is gone.
        """
        try:
            # Maps are mostly read one after the other: the chunk read last is kept.
            values: NDArray[np.float32] = self._array(name).row(row).astype(np.float32)
        except ZARR_ERRORS as error:
            raise CaseError(f"{case}: {self._damaged_map(name)}: {error}") from error
        if not np.isfinite(values).all():
            raise CaseError(f"{case}: {self._damaged_map(name)}")
        return values

    @property
    def _known_status(self) -> NDArray[np.int8]:
        with self._state_lock:
            if self._status is None:
                status = self._read("done/status")
                if status.ndim != 1 or len(status) == 0 or not np.isin(status, (0, 1, 2)).all():
                    raise self._damaged("its done/status is none")
                self._status = status
            return self._status

    def _has(self, name: str) -> bool:
        return name in self._arrays or (self.path / folder_of(name) / "zarr.json").exists()

    def _array(self, name: str) -> Chunks:
        array = self._arrays.get(name)
        if array is None:
            try:
                array = self._arrays[name] = Chunks(self.path / folder_of(name))
            except ZARR_ERRORS as error:
                raise self._damaged(f"{name}: {error}") from error
        return array

    def _read(self, name: str) -> NDArray[Any]:
        try:
            return self._array(name).read_all()
        except ZARR_ERRORS as error:
            raise self._damaged(f"{name}: {error}") from error

    def _column(self, name: str) -> NDArray[Any] | LazyColumn:
        """An array of numbers by its rows; a large one is read where it is used."""
        array = self._array(name)
        if array.bytes <= LAZY_BYTES:
            return self._read(name)

        def row(index: int) -> NDArray[Any]:
            try:
                values = array.row(index).copy()
            except ZARR_ERRORS as error:
                raise self._damaged(f"{name}: {error}") from error
            if name.endswith("/output") and not np.isfinite(values).all():
                raise self._damaged("outputs of finished images are missing")
            return values

        return LazyColumn(array.count, row)

    def _damaged_map(self, name: str) -> str:
        return (
            f"its map {name.partition('/')[2]} in {self.path} is damaged or gone; run the same "
            "fastcam infer again, and where that doesn't help remove the store first"
        )

    def _damaged(self, problem: str) -> InputError:
        return InputError(
            f"{self.path}: the run store is damaged ({problem}); remove it and run "
            "fastcam infer again"
        )
