"""The work of a worker process of ``fastcam infer``: ranges of batches through its own model."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastcam._version import __version__
from fastcam.attribution.batch_maps import Engine
from fastcam.attribution.engines import fingerprint
from fastcam.attribution.model_call import ModelCall, called_as
from fastcam.attribution.request import MapRequest
from fastcam.errors import InputError, SchedulerError
from fastcam.inference.batches import BatchSettings, run_batches
from fastcam.inference.device import choose_device
from fastcam.inference.loader import InputBatches, Inputs
from fastcam.jobs.infer.batch_ranges import BatchRange
from fastcam.jobs.infer.preparation import slice_inputs
from fastcam.jobs.infer.request import InferRequest
from fastcam.jobs.infer.stored_inputs import input_files
from fastcam.run.cgroups import cores
from fastcam.run.input_files import InputRecord, case_records, file_state
from fastcam.run.progress import NoProgress
from fastcam.run.scheduler import this_worker
from fastcam.store.map_batch import BatchRows
from fastcam.store.maps import MapStore

# More processes than this read faster than a GPU computes.
_MOST_READERS = 8


@dataclass(frozen=True, eq=False, kw_only=True)
class BatchTask:
    """What every worker of a run needs, but for its ranges.

    - ``load``: makes the model, on the CPU
    - ``build``: makes the engine, called as :func:`fastcam.attribution.engines.build_engine` is
    - ``request``: the run's, without its items
    - ``call``, ``maps``, ``settings``: how the model is called, what is made, and how batches run;
      the device, readers and targets of the settings are the worker's own
    - ``weights``: fingerprint of the model's weights
    - ``store``: path of the store, whose first batch is there
    - ``lease``: a file that is there as long as the run goes on: without it nothing is written
    - ``folder``: the run's working directory, from which relative paths lead
    - ``devices``: of the workers of one machine by their number; empty: "auto", or ``device``
    - ``device``: "cpu" or "cuda"
    - ``versions``: of fastcam and PyTorch
    """

    load: Callable[[], nn.Module]
    build: Callable[..., Engine]
    request: InferRequest
    call: ModelCall
    maps: MapRequest
    settings: BatchSettings
    weights: str
    store: Path
    lease: Path
    folder: Path
    devices: tuple[str, ...]
    device: str
    versions: tuple[str, str]


@dataclass(frozen=True)
class RangeResult:
    """What came of a range.

    - ``rows``: how many rows it has
    - ``done``, ``failed``: how many of them are finished, and how many have failed
    - ``notes``: lines for people
    - ``warnings``: what is odd about an input, with its 0-based row
    - ``inputs``: the files that its cases were made of
    """

    rows: int
    done: int
    failed: int
    notes: tuple[str, ...]
    warnings: tuple[tuple[int, str], ...]
    inputs: tuple[InputRecord, ...]


def versions() -> tuple[str, str]:
    """Those that must be the same in all processes of a run: of fastcam and of PyTorch."""
    return __version__, str(torch.__version__)


def run_range(task: BatchTask, part: BatchRange) -> RangeResult:
    """Run the batches of ``part`` that are not finished yet, in a Dask worker.

    The model is made when a process first works for a run. One range at a time: hooks on a model
    are for one caller.
    """
    with _lock, _working_in(task.folder):
        if _runs and _runs[0].task.lease != task.lease:
            _runs.pop().close()
        if not _runs:
            _runs.append(_WorkerRun(task))
        return _runs[0].run(part)


def _working_in(folder: Path) -> contextlib.AbstractContextManager[None]:
    # A worker that doesn't see it has whole paths only: that of relative ones is asked for before.
    return contextlib.chdir(folder) if folder.is_dir() else contextlib.nullcontext()


_lock = threading.Lock()
# The run that this process works for, at most one: its model fills the device's memory.
_runs: list[_WorkerRun] = []


class _LeasedStore(MapStore):
    """A store that is written to only while the file ``lease`` is there."""

    def __init__(self, path: Path, lease: Path) -> None:
        super().__init__(path)
        self._lease = lease

    def append(self, index: int, rows: BatchRows) -> None:
        if not self._lease.exists():
            raise SchedulerError(f"{self.path}: the run that this worker worked for has ended")
        super().append(index, rows)


class _WorkerRun:
    """A model and its engine on this worker's device."""

    def __init__(self, task: BatchTask) -> None:
        self.task = task
        name, threads = this_worker()
        if task.versions != versions():
            raise InputError(other_versions(str(name), versions(), task.versions))
        if not task.lease.exists():
            raise InputError(
                f"worker {name} doesn't see {task.store.parent}, the --output-dir; start workers "
                "where that folder is mounted under the same name"
            )
        self.store = _LeasedStore(task.store, task.lease)
        self.device = self._device(name, threads)
        with warnings.catch_warnings():
            # What is to be said of the model is said by the main process.
            warnings.simplefilter("ignore")
            self.model = task.load()
        if fingerprint(self.model)[:16] != task.weights:
            raise InputError(
                f"worker {name}: --model {task.request.model_info['model']} has other weights "
                "there than here; give the same --checkpoint everywhere, or a model that is the "
                "same every time it is made"
            )
        self.model = self.model.to(self.device)
        compiled = task.request.options.compiled
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(called_as(self.model, task.call))
        self.engine = task.build(
            self.model,
            task.maps,
            compiled=self.device.type == "cuda" if compiled is None else compiled,
        )

    def close(self) -> None:
        """Let go of the model."""
        self._stack.close()

    def _device(self, name: str | int, threads: int) -> torch.device:
        devices = self.task.devices
        if devices:
            # The threads of a machine are shared out among its workers.
            threads = max(1, cores() // len(devices))
            device = devices[int(name) % len(devices)]
        else:
            device = self.task.device
        if device == "cpu":
            torch.set_num_threads(threads)
        return choose_device(device)

    def run(self, part: BatchRange) -> RangeResult:
        """Run what is open of a range; of the rest, which a worker that died has finished, only
        the counts are taken."""
        store, task = self.store, self.task
        with_masks = bool(task.settings.segments)
        states = {
            case: [(path, file_state(path)) for path in input_files(item, with_masks)]
            for case, item in part.items.items()
        }
        store.refresh(part.numbers)
        settings = replace(
            task.settings,
            device=self.device,
            readers=self._readers(),
            targets=self._targets(part),
        )
        summary = run_batches(
            self.model,
            self.engine,
            self._inputs(part),
            store,
            settings,
            NoProgress(),
            numbers=store.open_among(part.numbers),
        )
        records = case_records(
            (case + 1, path, state) for case, pairs in states.items() for path, state in pairs
        )
        done, failed = store.counts(part.numbers)
        return RangeResult(
            sum(len(store.rows(number)) for number in part.numbers),
            done,
            failed,
            tuple(summary.notes),
            tuple(summary.warnings),
            tuple(records),
        )

    def _readers(self) -> int:
        """Processes that read for this one: none on a CPU, whose cores are all in use, and none
        where Dask lets its workers have none."""
        if multiprocessing.current_process().daemon:
            return 0
        readers = self.task.request.options.readers
        if readers is not None:
            return readers
        if self.device.type == "cpu":
            return 0
        return max(1, min(_MOST_READERS, cores() // max(1, len(self.task.devices))))

    def _inputs(self, part: BatchRange) -> InputBatches:
        task, request = self.task, self.task.request
        table = self.store.table
        if table is not None:
            return slice_inputs(request, part.items, table)
        return Inputs(
            part.items,
            request.preprocessing,
            request.inputs.axes,
            task.call.packed,
            request.inputs.volume,
            bool(task.settings.segments),
        )

    def _targets(self, part: BatchRange) -> Tensor | None:
        """The class that each row's label names; those of the range among zeros."""
        if not self.task.request.options.by_label:
            return None
        targets = torch.zeros(self.store.row_count, dtype=torch.int64)
        for number in part.numbers:
            for row in self.store.rows(number):
                targets[row] = int(part.items[self.store.case_of(row)].label)
        return targets


def other_versions(worker: str, there: tuple[Any, ...], here: tuple[Any, ...]) -> str:
    """What is wrong with a worker whose versions of fastcam and PyTorch are others than here."""
    names = ("fastcam", "PyTorch")
    pairs = zip(names, there, here, strict=True)
    texts = [f"{name} {theirs}, here {own}" for name, theirs, own in pairs if theirs != own]
    return f"worker {worker} has {' and '.join(texts)}; install the same versions everywhere"
