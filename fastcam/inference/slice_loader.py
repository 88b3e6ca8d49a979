"""The slices of volumes as a 2-D model wants them, read ahead: each volume is decoded once.

A reader is a process with volumes of its own. It decodes one, hands its slices over in runs, and
waits when a number of runs is not taken yet; the caller takes the volumes in their order, whoever
reads them, and cuts the slices into batches across their borders. So a reader holds one volume and
a bounded number of slices, however long volumes are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from fastcam.errors import CaseError, LostStoreError
from fastcam.inference.loader import LoadedInput
from fastcam.inference.readers import read_ahead
from fastcam.options import Axes
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.model_input import prepare_planes
from fastcam.read.inputs.preprocessing import Preprocessing
from fastcam.read.inputs.slicing import SliceTable, Slicing, unknown_slices
from fastcam.read.inputs.volume_slices import VolumeChoice, open_slices
from fastcam.storage.fetched_ahead import fetched_ahead

_UNKNOWN = np.full((4, 4), np.nan)
# Slices handed over at a time, and runs of them that a reader may be ahead: 128 slices of 224x224
# are 26 MB. Longer runs cost memory, shorter ones a message each.
_RUN, _AHEAD = 16, 8


@dataclass(frozen=True, eq=False)
class SliceRun:
    """Some slices of one volume.

    - ``rows``: their rows in the table
    - ``planes`` (m, k, H, W) float32: each slice, or it and its neighbors, resized, 0 to 255; None
      where the volume can't be read
    - ``reason``: why there are no planes, empty where there are
    - ``shape``: (z, y, x) of the volume, its slices first; zeros without planes
    - ``affine`` (4, 4): of the volume, its slices first; NaN where unknown
    - ``warnings``: what is odd about the volume; in its first run only
    """

    rows: tuple[int, ...]
    planes: NDArray[np.float32] | None
    reason: str
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    warnings: tuple[str, ...] = ()


class SliceInputs:
    """The slices of ``table``, from the volumes ``items``, as a 2-D model's inputs by their row.

    What can't be read is a reason, not an exception. The planes of a slice are those of its
    neighbors along the whole volume, whichever slices are run.
    """

    unit = "slices"

    def __init__(
        self,
        items: Sequence[Item] | Mapping[int, Item],
        table: SliceTable,
        slicing: Slicing,
        preprocessing: Preprocessing,
        axes: Axes = "zyx",
        volume: str | None = None,
    ) -> None:
        self._items = items
        self._table = table
        self._slicing = slicing
        self._preprocessing = preprocessing
        self._axes: Axes = axes
        self._volume = volume

    def __len__(self) -> int:
        return len(self._table)

    def batches(
        self, batches: Sequence[range], readers: int, in_turns: bool = False
    ) -> Iterator[list[LoadedInput]]:
        """As :class:`~fastcam.inference.loader.InputBatches` has it, but always ahead: a volume is
        decoded at once, on one core."""
        rows = [row for batch in batches for row in batch]
        waiting: list[LoadedInput] = []
        runs = self._runs(rows, readers)
        for batch in batches:
            while len(waiting) < len(batch):
                waiting += self._inputs(next(runs))
            ready, waiting = waiting[: len(batch)], waiting[len(batch) :]
            assert [entry.index for entry in ready] == list(batch)
            yield ready

    def _runs(self, rows: Sequence[int], readers: int) -> Iterator[SliceRun]:
        """The runs of all ``rows``, in order."""
        by_case: OrderedDict[int, list[int]] = OrderedDict()
        for row in rows:
            by_case.setdefault(int(self._table.cases[row]), []).append(row)
        cases = list(by_case.items())
        if not readers:
            for case, rows_of_case in cases:
                yield from self.read(case, rows_of_case)
            return
        readers = min(readers, len(cases))
        sources = [
            read_ahead(_OneReader(self, cases[number::readers]), 1, _AHEAD, batch_size=None)
            for number in range(readers)
        ]
        for number, (_, rows_of_case) in enumerate(cases):
            remaining = len(rows_of_case)
            while remaining:
                run = next(sources[number % readers])
                remaining -= len(run.rows)
                yield run

    def read(self, case: int, rows: Sequence[int]) -> Iterator[SliceRun]:
        """The runs of ``rows``, ascending, of the volume with the 0-based number ``case``."""
        source, count = self._items[case].source, 0
        try:
            for run in self._read(case, rows):
                yield run
                count += len(run.rows)
            return
        except LostStoreError:
            raise
        except CaseError as error:
            reason = str(error)
        except OSError as error:
            reason = f"{source}: can't be read: {error.strerror or error}"
        except Exception as error:  # noqa: BLE001
            # A decoder's own exception costs one volume, and is listed.
            reason = f"{source}: unexpected {type(error).__name__}: {error}"
        yield SliceRun(tuple(rows[count:]), None, reason, (0, 0, 0), _UNKNOWN)

    def _read(self, case: int, rows: Sequence[int]) -> Iterator[SliceRun]:
        source = self._items[case].source
        slices = [int(self._table.index[row]) for row in rows]
        if min(slices) < 0:
            raise unknown_slices(source, self._slicing, self._axes, self._volume)
        with fetched_ahead([source]):
            volume = open_slices(
                source,
                int(self._table.axis[case]),
                self._slicing,
                self._preprocessing,
                VolumeChoice(self._axes, self._volume),
            )
        if max(slices) >= volume.shape[0]:
            raise CaseError(
                f"{source}: has {volume.shape[0]} slices now, fewer than when the run began; "
                "--overwrite starts it again"
            )
        affine = _UNKNOWN if volume.volume.affine is None else volume.volume.affine
        for start in range(0, len(rows), _RUN):
            yield SliceRun(
                tuple(rows[start : start + _RUN]),
                np.stack([volume.planes(z) for z in slices[start : start + _RUN]]),
                "",
                volume.shape,
                affine,
                volume.warnings if not start else (),
            )

    def _inputs(self, run: SliceRun) -> list[LoadedInput]:
        if run.planes is None:
            return [LoadedInput(row, None, run.reason, run.shape, run.affine) for row in run.rows]
        tensors = torch.from_numpy(prepare_planes(run.planes, self._preprocessing))
        return [
            LoadedInput(row, tensor, "", run.shape, run.affine, run.warnings if not number else ())
            for number, (row, tensor) in enumerate(zip(run.rows, tensors, strict=True))
        ]


class _OneReader(IterableDataset[SliceRun]):
    """The volumes of one reader, each with the rows to read of it."""

    def __init__(self, inputs: SliceInputs, cases: Sequence[tuple[int, list[int]]]) -> None:
        self._inputs = inputs
        self._cases = cases

    def __iter__(self) -> Iterator[SliceRun]:
        for case, rows in self._cases:
            yield from self._inputs.read(case, rows)
