"""The run of a model over its inputs: batches in, maps into the store, failures told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fastcam.attribution import nonfinite
from fastcam.attribution.batch_maps import BatchMaps
from fastcam.attribution.cam.targets import Targets
from fastcam.attribution.engines import Engine, layer_names, map_notes
from fastcam.errors import InputError
from fastcam.inference.device import arithmetic
from fastcam.inference.halving import Halving, out_of_memory
from fastcam.inference.loader import Inputs, Loaded, read_ahead, stacked
from fastcam.inference.offload import Copies, Offload
from fastcam.inference.predictions import Task, predictions_of
from fastcam.inference.writer import Writer
from fastcam.run.progress import Progress
from fastcam.store.map_batch import BatchRows
from fastcam.store.maps import MapStore

# Beside the maps on their way to the host; no map is called so.
_OUTPUT, _TARGETS, _MEASURES, _GATES = ".output", ".targets", ".measures", ".gates/"


@dataclass(frozen=True)
class RunSettings:
    """How a run goes. ``readers`` are processes; ``targets`` (inputs,) int64 the output to explain
    of every input, where each has its own.
    """

    device: torch.device
    dtype: torch.dtype
    batch_size: int
    readers: int
    task: Task = "auto"
    targets: Tensor | None = None


@dataclass
class RunSummary:
    """What a run did: images answered, images failed, and what it had to say."""

    done: int = 0
    failed: int = 0
    notes: list[str] = field(default_factory=list)


def run_batches(
    model: nn.Module,
    engine: Engine,
    inputs: Inputs,
    store: MapStore,
    settings: RunSettings,
    progress: Progress,
) -> RunSummary:
    """Run every unfinished batch of ``store`` through ``engine``, and append what comes out.

    Reading is ahead of the model in other processes, writing behind it in a thread. An image that
    can't be read, or whose answer is not finite, is a failed row; the others are unharmed.
    ``model`` is asked which of its layers is to blame.
    """
    count = RunSummary()

    def told(line: str) -> None:
        count.notes.append(line)
        progress.note(line)

    numbers = store.unfinished()
    batches = [store.rows(number) for number in numbers]
    halving = Halving(guarded(engine, settings), settings.batch_size, told)
    offload = Offload(settings.device)
    loading = read_ahead(inputs, batches, settings.readers, settings.device.type == "cuda")
    progress.begin("images", sum(map(len, batches)))
    try:
        with Writer() as writer:

            def hand_over(under_way: UnderWay) -> None:
                finished = under_way.finished(model)
                writer.put(partial(_append, store, finished, engine, settings, count))
                progress.advance(len(finished.loaded))

            # A GPU works on one batch while the one before is looked at: no waiting for either.
            waiting: UnderWay | None = None
            for number, loaded in zip(numbers, loading, strict=True):
                started = _started(number, loaded, halving, offload, settings)
                if waiting is not None:
                    hand_over(waiting)
                waiting = started
            if waiting is not None:
                hand_over(waiting)
    finally:
        progress.end()
    return count


@dataclass(frozen=True, eq=False)
class Finished:
    """A batch's arrays on the host, a row for each input that could be read, and the reasons why
    others have none; a reason for every input, empty where all is well."""

    number: int
    loaded: Sequence[Loaded]
    reasons: list[str]
    arrays: dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class UnderWay:
    """A batch whose results are being computed and copied."""

    number: int
    loaded: Sequence[Loaded]
    batch: Tensor | None
    copies: Copies | None

    def finished(self, model: nn.Module) -> Finished:
        """Wait for the results. Inputs without a finite answer get the layer's name as reason."""
        reasons = [entry.reason for entry in self.loaded]
        if self.copies is None or self.batch is None:
            return Finished(self.number, self.loaded, reasons, {})
        arrays = self.copies.wait()
        read = [place for place, entry in enumerate(self.loaded) if entry.tensor is not None]
        bad = np.flatnonzero(~_finite(arrays)).tolist()
        if bad:
            for row, found in zip(bad, nonfinite.reasons(model, self.batch[bad]), strict=True):
                reasons[read[row]] = found or "its map is not finite (NaN or infinite)"
        return Finished(self.number, self.loaded, reasons, arrays)


def _started(
    number: int,
    loaded: Sequence[Loaded],
    halving: Halving,
    offload: Offload,
    settings: RunSettings,
) -> UnderWay:
    read = [entry.index for entry in loaded if entry.tensor is not None]
    if not read:
        return UnderWay(number, loaded, None, None)
    batch = stacked(loaded, settings.device)
    made = halving(batch, None if settings.targets is None else settings.targets[read])
    tensors = {**made.maps, _OUTPUT: made.output.float()}
    if made.targets is not None:
        tensors[_TARGETS] = made.targets
    if made.measures is not None:
        tensors[_MEASURES] = made.measures
    tensors |= {_GATES + path: values for path, values in made.gates.items()}
    return UnderWay(number, loaded, batch, offload.start(tensors))


def _finite(arrays: dict[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """(rows,): whether all numbers of a row are."""
    flags = [np.isfinite(a.reshape(len(a), -1)).all(axis=1) for a in arrays.values()]
    every: NDArray[np.bool_] = np.logical_and.reduce(flags)
    return every


def guarded(engine: Engine, settings: RunSettings) -> Engine:
    """``engine`` in the arithmetic of ``settings``; what the model fails on becomes InputError."""

    def call(batch: Tensor, targets: Targets = None) -> BatchMaps:
        try:
            with arithmetic(settings.device, settings.dtype):
                return engine(batch, targets)
        except RuntimeError as error:
            if out_of_memory(error):
                raise
            raise InputError(
                f"the model fails on a batch of shape {tuple(batch.shape)}: "
                f"{str(error).splitlines()[0]}; check --image-size, the channels and the "
                "checkpoint"
            ) from error

    return call


def _append(
    store: MapStore, done: Finished, engine: Engine, settings: RunSettings, count: RunSummary
) -> None:
    maps = dict(done.arrays)
    output = maps.pop(_OUTPUT, np.empty((0, 1), np.float32))
    targets, measures = maps.pop(_TARGETS, None), maps.pop(_MEASURES, None)
    paths = [name for name in maps if name.startswith(_GATES)]
    gates = {name.removeprefix(_GATES): maps.pop(name) for name in paths}
    read = [place for place, entry in enumerate(done.loaded) if entry.tensor is not None]
    good = np.array([not done.reasons[place] for place in read], dtype=bool)
    kept = [done.loaded[place] for place, fine in zip(read, good, strict=True) if fine]
    said = predictions_of(output[good], settings.task)
    rows = BatchRows(
        tuple(done.reasons),
        {name: values[good] for name, values in maps.items()},
        output[good],
        np.array([entry.shape for entry in kept], dtype=np.int32).reshape(-1, 3),
        np.array([entry.affine for entry in kept]).reshape(-1, 4, 4),
        said.prediction, said.confidence, said.probability,
        None if targets is None else targets[good],
        None if measures is None else measures[good],
        layer_names(engine),
        map_notes(engine),
        {path: values[good] for path, values in gates.items()},
    )  # fmt: skip
    store.append(done.number, rows)
    failed = sum(map(bool, done.reasons))
    count.failed += failed
    count.done += len(done.loaded) - failed
