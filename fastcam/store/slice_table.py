"""The slices of volumes in a store of maps: which row is which, and what a model said of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.read.inputs.slicing import SliceTable
from fastcam.store.chunk_files import Chunks, chunk_rows, create_array

if TYPE_CHECKING:
    import zarr

SLICES = "slices"
_COLUMNS = ("case_offset", "case_axis", "index")


@dataclass(frozen=True, eq=False, kw_only=True)
class SliceAnswers:
    """What a 2-D model said of the m finished slices of a volume.

    Attributes:
        index: (m,) int32, the slices, from 0, ascending.
        output: (m, k) float32, raw.
        probability: (m, k) float32, 0 to 1; (m, 0) of a regression.
        prediction: (m,) int32, the predicted classes; ``NO_PREDICTION`` of a regression.
        confidence: (m,) float32, 0 to 1; NaN of a regression.
        targets: (m, t) int32, the classes that the maps explain.
        measures: (m, k) float32, numbers that the run's engine took beside its maps; (m, 0) where
            it took none.
    """

    index: NDArray[np.int32]
    output: NDArray[np.float32]
    probability: NDArray[np.float32]
    prediction: NDArray[np.int32]
    confidence: NDArray[np.float32]
    targets: NDArray[np.int32]
    measures: NDArray[np.float32]

    def row(self, index: int) -> int | None:
        """The row of slice ``index``; None where it was not run or failed."""
        at = int(np.searchsorted(self.index, index))
        return at if at < len(self.index) and int(self.index[at]) == index else None


def write_table(group: zarr.Group, folder: Path, table: SliceTable) -> None:
    """Write the table into ``group``, which is at ``folder``."""
    columns: tuple[NDArray[Any], ...] = (table.offset, table.axis, table.index)
    for name, values in zip(_COLUMNS, columns, strict=True):
        rows = chunk_rows(len(values), values.itemsize)
        create_array(group, name, values.shape, values.dtype, fill=0, chunk=rows)
        Chunks(folder / name).write_rows(0, values)


def read_table(path: Path) -> SliceTable | None:
    """The slices of the store at ``path``; None where its rows are whole images or volumes.

    Raises ``ZARR_ERRORS`` where it is damaged.
    """
    if not (path / SLICES).exists():
        return None
    offset, axis, index = (Chunks(path / SLICES / name).read_all() for name in _COLUMNS)
    if len(offset) != len(axis) + 1 or offset[0] != 0 or offset[-1] != len(index):
        raise ValueError("its slices/ arrays don't belong together")
    return SliceTable(offset, axis, index)
