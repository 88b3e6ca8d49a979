"""The run of a model over its inputs: batches in, maps into the store, failures listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fastcam.attribution import nonfinite
from fastcam.attribution.batch_maps import BatchMaps, Engine, Targets
from fastcam.attribution.folded_norms import NormPair, folded
from fastcam.attribution.request import is_signed
from fastcam.attribution.segment_target import SegmentTarget
from fastcam.attribution.segmentation import SegmentationTargets
from fastcam.errors import InputError
from fastcam.inference.batch_halving import Halving, out_of_memory
from fastcam.inference.device import (
    Copies,
    Offload,
    arithmetic,
    folds_norms,
    takes_all_cores,
)
from fastcam.inference.loader import InputBatches, LoadedInput, stack_inputs
from fastcam.inference.predictions import Task, predictions_of
from fastcam.inference.writer import Writer
from fastcam.run.freed_memory import keep_freed_memory
from fastcam.run.progress import Progress, count_failures
from fastcam.store.map_batch import BatchRows
from fastcam.store.map_fields import MapField
from fastcam.store.maps import MapStore

# Beside the maps on their way to the host; no map is called so.
_OUTPUT, _TARGETS, _MEASURES, _GATES = ".output", ".targets", ".measures", ".gates/"
_LABELS, _PIXELS, _BOXES = ".labels", ".pixels", ".boxes"


@dataclass(frozen=True)
class BatchSettings:
    """How batches run, with nothing left to be found out.

    - ``device``, ``dtype``: where the model runs, and in which arithmetic
    - ``batch_size``: images at a time
    - ``readers``: processes that read ahead; 0: the caller reads
    - ``task``: how predictions are made of the output
    - ``slow``: whether an image takes hundreds of passes: then each has a call of its own, and the
      progress goes on after each
    - ``segments``: what is explained of a segmentation, where that takes the images' masks
    - ``targets`` (inputs,) int64, the output to explain of every input; None where one choice
      holds for all
    - ``norms``: as :class:`ModelCall` has them
    """

    device: torch.device
    dtype: torch.dtype
    batch_size: int
    readers: int
    task: Task = "auto"
    slow: bool = False
    segments: tuple[SegmentTarget, ...] = ()
    targets: Tensor | None = None
    norms: tuple[NormPair, ...] = ()


@dataclass
class RunSummary:
    """What a run did.

    - ``done``, ``failed``: numbers of images
    - ``notes``: lines that were logged on the way
    - ``warnings``: what is odd about an input, with its 0-based number among the run's
    """

    done: int = 0
    failed: int = 0
    notes: list[str] = field(default_factory=list)
    warnings: list[tuple[int, str]] = field(default_factory=list)


def run_batches(
    model: nn.Module,
    engine: Engine,
    inputs: InputBatches,
    store: MapStore,
    settings: BatchSettings,
    progress: Progress,
    on_stored: Callable[[range], None] | None = None,
    numbers: Sequence[int] | None = None,
) -> RunSummary:
    """Run every unfinished batch of ``store``, or those with the ``numbers``, through ``engine``,
    and append what comes out; then ``on_stored`` is called with its rows, in the thread that
    writes.

    Reading is ahead of the model in other processes, writing behind it in a thread. An image that
    can't be read, or whose answer is not finite, is a failed row; the others are unharmed.
    ``model`` is asked which of its layers is to blame.
    """
    summary = RunSummary()

    def log(line: str) -> None:
        summary.notes.append(line)
        progress.note(line)

    numbers = store.unfinished() if numbers is None else numbers
    batches = [store.rows(number) for number in numbers]
    device_engine = engine_on(engine, settings.device, settings.dtype)
    size = 1 if settings.slow else settings.batch_size
    advance = progress.advance if settings.slow else _no_advance
    norms = settings.norms if folds_norms(settings.device, settings.dtype) else ()
    offload = Offload(settings.device)
    if settings.device.type == "cpu":
        # ResNet-50 in bf16 takes 24 to 27 ms an image instead of 27 to 31: 8 to 10 ms of the
        # system, which clears fresh pages for every layer's values, become 0.1.
        keep_freed_memory()
    in_turns = takes_all_cores(settings.device)
    loader = inputs.batches(batches, settings.readers, in_turns)
    progress.begin(inputs.unit, sum(map(len, batches)))
    try:
        with Writer() as writer, folded(model, norms, settings.dtype, device_engine) as quick:
            halving = Halving(quick, size, log, advance)

            def hand_over(pending: PendingBatch) -> None:
                result = pending.wait(model)
                writer.put(partial(_append, store, result, settings.task, summary))
                if on_stored is not None:
                    writer.put(partial(on_stored, store.rows(result.number)))
                count_failures(progress, sum(map(bool, result.reasons)))
                advanced = len(result.readable) if settings.slow else 0
                progress.advance(len(result.inputs) - advanced)

            # A GPU works on one batch while the one before is looked at: no waiting for either.
            previous: PendingBatch | None = None
            for number, loaded in zip(numbers, loader, strict=True):
                current = _start_batch(number, loaded, halving, offload, settings)
                if previous is not None:
                    hand_over(previous)
                previous = current
            if previous is not None:
                hand_over(previous)
    finally:
        progress.end()
    return summary


def _no_advance(_count: int) -> None:
    """A batch that is one call counts when it is stored."""


@dataclass(frozen=True, eq=False)
class BatchResult:
    """A batch on the host.

    - ``number``: the batch's in the store
    - ``inputs``: what was read of it
    - ``reasons``: for every input why it has no maps, empty where all is well
    - ``arrays``: by name, a row for each input that could be read
    - ``layer_names``, ``notes``, ``fields``, ``measure_names``: as in ``BatchMaps``
    """

    number: int
    inputs: Sequence[LoadedInput]
    reasons: list[str]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    layer_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, MapField] = field(default_factory=dict)
    measure_names: tuple[str, ...] = ()

    @property
    def readable(self) -> list[int]:
        """The indices of the inputs that could be read."""
        return _readable(self.inputs)


@dataclass(frozen=True, eq=False)
class Computation:
    """What is being computed and copied of a batch.

    - ``batch`` (n, c, *size) float32, the inputs that could be read, on the device
    - ``copies``: the engine's tensors on their way to the host; the device's own are let go of
    - ``layer_names``, ``notes``, ``fields``, ``measure_names``: as in ``BatchMaps``
    """

    batch: Tensor
    copies: Copies
    layer_names: Mapping[str, tuple[str, ...]]
    notes: Mapping[str, str]
    fields: Mapping[str, MapField]
    measure_names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PendingBatch:
    """A batch under way; ``computation`` is None where none of its inputs could be read."""

    number: int
    inputs: Sequence[LoadedInput]
    computation: Computation | None

    def wait(self, model: nn.Module) -> BatchResult:
        """Wait for the results. Inputs without a finite answer get the layer's name as reason."""
        reasons = [entry.reason for entry in self.inputs]
        computation = self.computation
        if computation is None:
            return BatchResult(self.number, self.inputs, reasons)
        arrays = computation.copies.wait()
        readable = _readable(self.inputs)
        bad = np.flatnonzero(~_finite_rows(arrays)).tolist()
        if bad:
            causes = nonfinite.reasons(model, computation.batch[bad])
            for row, cause in zip(bad, causes, strict=True):
                reasons[readable[row]] = cause or "its map is not finite (NaN or infinite)"
        return BatchResult(
            self.number,
            self.inputs,
            reasons,
            arrays,
            computation.layer_names,
            computation.notes,
            computation.fields,
            computation.measure_names,
        )


def _start_batch(
    number: int,
    inputs: Sequence[LoadedInput],
    halving: Halving,
    offload: Offload,
    settings: BatchSettings,
) -> PendingBatch:
    rows = [entry.index for entry in inputs if entry.tensor is not None]
    if not rows:
        return PendingBatch(number, inputs, None)
    batch = stack_inputs(inputs, settings.device)
    maps = halving(batch, _targets_of(inputs, rows, settings, tuple(batch.shape[2:])))
    tensors = {**maps.maps, _OUTPUT: maps.output.float()}
    if maps.targets is not None:
        tensors[_TARGETS] = maps.targets
    beside = {_MEASURES: maps.measures, _LABELS: maps.labels, _PIXELS: maps.pixels}
    beside[_BOXES] = maps.boxes
    tensors |= {name: values for name, values in beside.items() if values is not None}
    tensors |= {_GATES + path: values for path, values in maps.gates.items()}
    copies = offload.start(tensors)
    computation = Computation(
        batch, copies, maps.layer_names, maps.notes, maps.fields, maps.measure_names
    )
    return PendingBatch(number, inputs, computation)


def _targets_of(
    inputs: Sequence[LoadedInput],
    rows: Sequence[int],
    settings: BatchSettings,
    size: tuple[int, ...],
) -> Tensor | SegmentationTargets | None:
    """What is explained of the rows that could be read, where that isn't the same of all."""
    if settings.segments:
        masks = [entry.mask for entry in inputs if entry.tensor is not None]
        # An image without a mask has no pixels in it.
        planes = [torch.zeros(size, dtype=torch.bool) if m is None else m for m in masks]
        return SegmentationTargets(settings.segments, torch.stack(planes).to(settings.device))
    return None if settings.targets is None else settings.targets[rows]


def _readable(inputs: Sequence[LoadedInput]) -> list[int]:
    return [index for index, entry in enumerate(inputs) if entry.tensor is not None]


def _finite_rows(arrays: dict[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """(rows,): whether all numbers of a row are finite."""
    flags = [np.isfinite(a.reshape(len(a), -1)).all(axis=1) for a in arrays.values()]
    every: NDArray[np.bool_] = np.logical_and.reduce(flags)
    return every


def engine_on(engine: Engine, device: torch.device, dtype: torch.dtype) -> Engine:
    """``engine`` in the arithmetic of ``device`` and ``dtype``.

    What the model fails on becomes InputError; only memory that runs out stays what it is.
    """

    def run(batch: Tensor, targets: Targets = None) -> BatchMaps:
        try:
            with arithmetic(device, dtype):
                return engine(batch, targets)
        except RuntimeError as error:
            if out_of_memory(error):
                raise
            raise InputError(
                f"the model fails on a batch of shape {tuple(batch.shape)}: "
                f"{str(error).splitlines()[0]}; check --image-size, the channels and the "
                "checkpoint"
            ) from error

    return run


def _append(store: MapStore, result: BatchResult, task: Task, summary: RunSummary) -> None:
    maps = dict(result.arrays)
    output = maps.pop(_OUTPUT, np.empty((0, 1), np.float32))
    targets, measures = maps.pop(_TARGETS, None), maps.pop(_MEASURES, None)
    labels, pixels = maps.pop(_LABELS, None), maps.pop(_PIXELS, None)
    boxes = maps.pop(_BOXES, None)
    gate_keys = [name for name in maps if name.startswith(_GATES)]
    gates = {name.removeprefix(_GATES): maps.pop(name) for name in gate_keys}
    good = np.array([not result.reasons[index] for index in result.readable], dtype=bool)
    inputs = [result.inputs[i] for i, fine in zip(result.readable, good, strict=True) if fine]
    predictions = predictions_of(output[good], task)
    rows = BatchRows(
        reasons=tuple(result.reasons),
        maps={name: values[good] for name, values in maps.items()},
        output=output[good],
        shape=np.array([entry.shape for entry in inputs], dtype=np.int32).reshape(-1, 3),
        affine=np.array([entry.affine for entry in inputs]).reshape(-1, 4, 4),
        prediction=predictions.prediction,
        confidence=predictions.confidence,
        probability=predictions.probability,
        target=None if targets is None else targets[good],
        measures=None if measures is None else measures[good],
        measure_names=result.measure_names,
        labels=None if labels is None else labels[good],
        pixels=None if pixels is None else pixels[good],
        boxes=None if boxes is None else boxes[good],
        layer_names=result.layer_names,
        notes=result.notes,
        signed=tuple(filter(is_signed, maps)),
        fields=result.fields,
        gates={path: values[good] for path, values in gates.items()},
    )
    store.append(result.number, rows)
    failed = sum(map(bool, result.reasons))
    summary.warnings += [(entry.index, text) for entry in inputs for text in entry.warnings]
    summary.failed += failed
    summary.done += len(result.inputs) - failed
