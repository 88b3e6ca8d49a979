"""Work items to Dask: one machine's cores, or an existing cluster, by the same road.

Nothing here knows what is done with an item; results are small records, pixels never travel.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import tempfile
import types
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from fastcam.errors import InputError, SchedulerError
from fastcam.run import forkserver
from fastcam.run.work_items import WorkItem, deal, steal

if TYPE_CHECKING:
    from distributed import Client, Future

Result = TypeVar("Result")

# Items given to a worker thread ahead of the one it works on, so that it never waits.
_AHEAD = 2
# Starting processes costs half a second and more; so many figures are drawn in less.
_FEW = 64


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Shape:
    """Worker processes and threads in each; ``processes`` 0 is threads of this very process."""

    processes: int
    threads: int


def shape_of(workers: int, figures: int) -> Shape:
    """How ``workers`` workers are laid out for a job of so many figures.

    Processes of one thread each. Measured with 3,000 figures of 30 volumes (.nii.gz) on two cores,
    median of three rounds: one thread 17.1 s, two threads 13.9 s, two threads in one worker
    process 17.6 s, two processes 13.5 s, and 9.0 s since they are forked with the kernels loaded.
    Drawing alone scales 1.8 times over two threads, but inflating a volume holds the GIL.
    """
    if workers == 1 or figures <= _FEW:
        return Shape(0, workers)
    return Shape(workers, 1)


@contextlib.contextmanager
def local_cluster(shape: Shape) -> Iterator[Client]:
    """Dask workers on this machine."""
    import dask
    from distributed import Client, LocalCluster

    settings = {
        # Nothing of size ever lies in a worker's memory on Dask's account.
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": False,
        # Lanes do the stealing: Dask would move items away from the volume they share.
        "distributed.scheduler.work-stealing": False,
        # Statistics that nobody looks at, taken a hundred times a second from running workers.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.system-monitor.interval": "10s",
        "distributed.comm.timeouts.connect": "60s",
        "distributed.worker.multiprocessing-method": forkserver.METHOD,
    }
    with (
        dask.config.set(settings),
        tempfile.TemporaryDirectory(prefix="fastcam-dask-") as scratch,
        _hidden_main(),
        contextlib.ExitStack() as running,
    ):
        try:
            if shape.processes:
                forkserver.start()
            with _interrupts_wait():
                cluster = running.enter_context(
                    LocalCluster(
                        n_workers=max(1, shape.processes),
                        threads_per_worker=shape.threads,
                        processes=shape.processes > 0,
                        # Told nothing, they listen to the whole network.
                        dashboard_address="127.0.0.1:0",
                        worker_dashboard_address="127.0.0.1:0",
                        local_directory=scratch,
                        silence_logs=logging.CRITICAL,
                        memory_limit=0,
                    )
                )
                client = running.enter_context(Client(cluster, set_as_default=False))
            yield client
        finally:
            with _interrupts_wait():
                running.close()


@contextlib.contextmanager
def _hidden_main() -> Iterator[None]:
    """Worker processes start without importing the main script again.

    They need nothing of it, and a script that calls fastcam without an ``if __name__ ==
    "__main__"`` around it would start itself once more in each of them.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Ctrl-C takes effect when the block is left; what is started in it never sees it at all.

    A terminal sends it to every process at once. Workers would answer with tracebacks; this
    process ends them in good order.
    """
    # Started later, by a thread of the cluster, it would unblock the signal there.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def existing_cluster(scheduler: str) -> Iterator[Client]:
    """A running Dask cluster, by address (``tcp://host:8786``) or scheduler file."""
    from distributed import Client

    where: dict[str, str]
    if "://" in scheduler or (":" in scheduler and not Path(scheduler).exists()):
        where = {"address": scheduler}
    elif Path(scheduler).is_file():
        where = {"scheduler_file": scheduler}
    else:
        raise InputError(
            f"--scheduler {scheduler}: neither an address such as tcp://host:8786 nor an existing "
            f"scheduler file; start one with `dask scheduler --scheduler-file FILE`"
        )
    try:
        client = Client(**where, timeout="15s", set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(f"--scheduler {scheduler}: no Dask scheduler answers there") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=60)
        except TimeoutError as error:
            raise InputError(
                f"--scheduler {scheduler}: the scheduler has no workers; start some with "
                f"`dask worker`"
            ) from error
        yield client


def run(
    client: Client, function: Callable[[WorkItem], Result], items: Sequence[WorkItem]
) -> Iterator[tuple[WorkItem, Result]]:
    """Run every item once; yields each with its result as it comes back, in any order.

    Each worker thread has a lane of its own and at most a few items in flight, so the
    scheduler's memory does not grow with the job. Dask gives the items of a worker that died to
    others. Raises :class:`SchedulerError` when the cluster is lost, or when several workers died
    over one item.
    """
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    homes = [address for address, count in sorted(client.nthreads().items()) for _ in range(count)]
    lanes = deal(items, max(1, len(homes)))
    flying: dict[Future[Result], tuple[int, WorkItem]] = {}
    landed = as_completed(loop=client.loop)

    def launch(lane: int) -> None:
        if not lanes[lane]:
            steal(lanes, lane)
        if lanes[lane]:
            item = lanes[lane].popleft()
            future = client.submit(
                function, item, pure=False, workers=[homes[lane]], allow_other_workers=True
            )
            flying[future] = (lane, item)
            landed.add(future)

    for _ in range(_AHEAD):
        for lane in range(len(lanes)):
            launch(lane)
    try:
        for future in landed:
            lane, item = flying.pop(future)
            try:
                result = future.result()
            except (KilledWorker, CancelledError) as error:
                raise SchedulerError(
                    f"the Dask cluster gave up on a work item ({error}); finished figures are "
                    f"kept: run the same command again to go on"
                ) from error
            launch(lane)
            yield item, result
    finally:
        client.cancel(list(flying))
