"""A run of ``fastcam infer`` on several worker processes: which, that they fit, and their work."""

from __future__ import annotations

import contextlib
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from fastcam.attribution.batch_maps import Engine
from fastcam.errors import InputError
from fastcam.inference.batches import BatchSettings, RunSummary
from fastcam.inference.loader import Inputs
from fastcam.inference.slice_loader import SliceInputs
from fastcam.inference.worker_devices import worker_devices
from fastcam.jobs.infer.batch_ranges import BatchRange, batch_ranges, range_of, split_ranges
from fastcam.jobs.infer.batch_task import (
    BatchTask,
    RangeResult,
    other_versions,
    run_range,
    versions,
)
from fastcam.jobs.infer.preparation import Preparation
from fastcam.jobs.infer.request import InferRequest
from fastcam.read.inputs.inputs import Item
from fastcam.run import queues
from fastcam.run import scheduler as schedule
from fastcam.run.cluster_watch import ask_each
from fastcam.run.files import remove, remove_leftovers, write_text
from fastcam.run.input_files import InputRecord
from fastcam.run.progress import Progress, count_failures
from fastcam.run.scheduler import ClusterShape
from fastcam.storage.locations import as_path
from fastcam.store.maps import MapStore

if TYPE_CHECKING:
    from distributed import Client

# Modules that the fork server imports, so that workers start with all they need.
PRELOAD = ("fastcam.run.collection_off", "fastcam.jobs.infer.preload")
_LEASE = ".workers-"
_SECONDS_TO_RESTART = 30
# How often a range is tried again of which no batch was finished meanwhile.
_FRUITLESS = 3


@dataclass(frozen=True, eq=False, kw_only=True)
class WorkerChoice:
    """Which processes run the model in place of this one.

    - ``load``: makes the model, in each of them
    - ``devices``: of this machine, by the option ``--devices``
    - ``scheduler``: address or scheduler file of a Dask cluster
    """

    load: Callable[[], nn.Module]
    devices: str | None = None
    scheduler: str | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Workers:
    """Processes that can run the model.

    - ``load``, ``scheduler``: as in :class:`WorkerChoice`
    - ``devices``: of this machine a device for each; empty: those of a cluster have their own
    - ``device``: "cpu" or "cuda", the same for all
    - ``count``: how many they are
    """

    load: Callable[[], nn.Module]
    scheduler: str | None
    devices: tuple[str, ...]
    device: str
    count: int

    def __str__(self) -> str:
        return f"{self.count} workers ({self.device})" if self.count > 1 else self.device


def resolve_workers(choice: WorkerChoice, device: str, paths: Sequence[Path]) -> Workers:
    """The workers of ``choice``, which have the GPUs that are asked for, see ``paths``, and run the
    same fastcam and PyTorch. InputError where they don't; nothing is written.

    ``device``: the option ``--device``.
    """
    if choice.scheduler is None:
        devices = worker_devices("all" if choice.devices is None else choice.devices, device)
        kind = devices[0].partition(":")[0]
        return Workers(
            load=choice.load, scheduler=None, devices=devices, device=kind, count=len(devices)
        )
    if choice.devices is not None:
        raise InputError(
            "--devices is for this machine, --scheduler for a cluster whose workers have a device "
            "each: give one of them"
        )
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(
            f"--device {device}: each worker of a cluster has its own device; give auto, cpu or "
            "cuda"
        )
    with schedule.existing_cluster(choice.scheduler) as client:
        try:
            facts = ask_each(client, worker_facts, tuple(map(str, paths)))
        except (ImportError, AttributeError, RuntimeError) as error:
            # The scheduler, too, loads what it hands on.
            raise InputError(
                f"--scheduler {choice.scheduler}: the scheduler or a worker can't load this "
                f"fastcam ({type(error).__name__}); install the same one, {versions()[0]}, there"
            ) from error
    kind = common_device(facts, device)
    return Workers(
        load=choice.load, scheduler=choice.scheduler, devices=(), device=kind, count=len(facts)
    )


@dataclass(frozen=True)
class WorkerFacts:
    """What a worker of a cluster has.

    - ``versions``: of fastcam and PyTorch
    - ``has_gpu``: whether PyTorch finds a GPU there
    - ``missing``: the files and folders that aren't there
    """

    versions: tuple[str, str]
    has_gpu: bool
    missing: tuple[str, ...]


def worker_facts(paths: Sequence[str]) -> WorkerFacts:
    """Those of the process that asks, of which ``paths`` are to be seen."""
    missing = tuple(path for path in paths if not as_path(path).exists())
    return WorkerFacts(versions(), torch.cuda.is_available(), missing)


def common_device(facts: dict[str, WorkerFacts], device: str) -> str:
    """The device, "cpu" or "cuda", that all workers run on, by the option ``device``. InputError
    where they can't, or one of them is another."""
    own = versions()
    for address, worker in facts.items():
        if worker.versions != own:
            raise InputError(other_versions(address, worker.versions, own))
        if worker.missing:
            raise InputError(
                f"worker {address} doesn't see {worker.missing[0]}; start workers where the "
                "folders are mounted under the same names"
            )
    without = [address for address, worker in facts.items() if not worker.has_gpu]
    if device == "cpu" or (device == "auto" and len(without) == len(facts)):
        return "cpu"
    if without:
        raise InputError(
            f"worker {without[0]} has no GPU, and a run is on one kind of device: give --device "
            "cpu, or start workers on GPU nodes only"
        )
    return "cuda"


def worker_task(
    workers: Workers,
    request: InferRequest,
    prepared: Preparation,
    settings: BatchSettings,
    store: MapStore,
    build: Callable[..., Engine],
) -> BatchTask:
    """What the workers of a run into ``store`` need, but for its lease."""
    return BatchTask(
        load=workers.load,
        build=build,
        request=replace(request, inputs=replace(request.inputs, items=())),
        call=prepared.call,
        maps=prepared.maps,
        settings=replace(settings, targets=None),
        weights=str(store.attrs.settings["weights"]),
        store=store.path.resolve(),
        lease=store.path,
        folder=Path.cwd(),
        devices=workers.devices,
        device=workers.device,
        versions=versions(),
    )


def run_on_workers(
    workers: Workers,
    task: BatchTask,
    store: MapStore,
    items: Sequence[Item],
    record: Callable[[Iterable[InputRecord]], None],
    progress: Progress,
) -> RunSummary:
    """Run every unfinished batch of ``store``, that of ``task``, on the workers.

    ``record`` gets the files that the maps were made of. The first batch with maps makes the
    store's arrays, and is run before all others.
    """
    store.write_reopened()
    summary = RunSummary()
    numbers = store.unfinished()
    if not numbers:
        return summary
    unit = Inputs.unit if store.table is None else SliceInputs.unit
    progress.begin(unit, sum(len(store.rows(number)) for number in numbers))

    def add(result: RangeResult) -> None:
        summary.done += result.done
        summary.failed += result.failed
        for line in dict.fromkeys(result.notes):
            if line not in summary.notes:
                summary.notes.append(line)
                progress.note(line)
        summary.warnings += result.warnings
        record(result.inputs)
        count_failures(progress, result.failed)
        progress.advance(result.rows)

    def part_of(part: tuple[int, ...]) -> BatchRange:
        return range_of(part, store.rows, store.case_of, items)

    try:
        with _cluster(workers) as client, _lease(store.path.parent) as lease:
            work = partial(run_range, replace(task, lease=lease))
            while numbers and not store.map_names:
                first, numbers = part_of((numbers[0],)), numbers[1:]
                for _, result in _run(client, work, [first], store):
                    add(result)
                store.refresh(first.numbers)
            with contextlib.suppress(TimeoutError):
                client.wait_for_workers(workers.count, timeout=_SECONDS_TO_RESTART)
            ranges = [part_of(part) for part in batch_ranges(numbers, workers.count)]
            for _, result in _run(client, work, ranges, store):
                add(result)
    finally:
        progress.end()
        # Of workers that were killed; nobody writes here now.
        remove_leftovers(store.path, "**/")
    summary.warnings.sort()
    return summary


def _run(
    client: Client,
    work: Callable[[BatchRange], RangeResult],
    ranges: Sequence[BatchRange],
    store: MapStore,
) -> Iterator[tuple[BatchRange, RangeResult]]:
    """Run the ranges; those over which several workers died again as :class:`Retries` says."""
    again = Retries(store)
    return queues.run_queues(
        client, work, partial(split_ranges, ranges), by_worker=True, again=again
    )


class Retries:
    """Whether a range over which Dask has lost four workers is tried again.

    It is as long as a batch of it was finished meanwhile, and three times without one: where
    workers are killed every few seconds, a range may meet four of them just before they are.
    """

    def __init__(self, store: MapStore) -> None:
        self._store = store
        self._left: dict[tuple[int, ...], int] = {}
        self._fruitless: Counter[tuple[int, ...]] = Counter()

    def __call__(self, part: BatchRange) -> bool:
        numbers = part.numbers
        self._store.refresh(numbers)
        left = len(self._store.open_among(numbers))
        if left < self._left.get(numbers, len(numbers) + 1):
            self._fruitless[numbers] = 0
        self._left[numbers] = left
        self._fruitless[numbers] += 1
        return self._fruitless[numbers] <= _FRUITLESS


def _cluster(workers: Workers) -> contextlib.AbstractContextManager[Client]:
    if workers.scheduler is not None:
        return schedule.existing_cluster(workers.scheduler)
    return schedule.local_cluster(ClusterShape(workers.count, 1), PRELOAD, daemonic=False)


@contextlib.contextmanager
def _lease(folder: Path) -> Iterator[Path]:
    """A file in ``folder`` that is there as long as the run goes on.

    A worker of a cluster doesn't end with the run that it works for, and must not write into the
    store of the next. Those of runs that were killed are removed.
    """
    for path in folder.glob(f"{_LEASE}*"):
        remove(path)
    lease = folder.resolve() / f"{_LEASE}{uuid.uuid4().hex}"
    write_text(lease, "")
    try:
        yield lease
    finally:
        with contextlib.suppress(OSError):
            lease.unlink()
