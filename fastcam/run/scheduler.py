"""Work items to Dask: one machine's cores, or an existing cluster.

Nothing here knows what is done with an item. Results are small records; pixels never travel.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import tempfile
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, TypeVar

from fastcam.errors import InputError, SchedulerError
from fastcam.run import forkserver
from fastcam.run.cluster_watch import KEPT, LOSSES
from fastcam.run.scheduler_address import address_of
from fastcam.run.steady_clock import steady_clock
from fastcam.run.stops import stops_deferred
from fastcam.storage.object_store import uses_memory

if TYPE_CHECKING:
    from distributed import Client

Result = TypeVar("Result")

# Seconds that a cluster has to close.
_CLOSING = 60.0
# Starting processes costs half a second and more; so many figures are drawn in less.
_FEW = 64


@dataclass(frozen=True, slots=True)
class ClusterShape:
    """Worker processes and threads in each; ``processes`` 0 is threads of this very process."""

    processes: int
    threads: int


def cluster_shape(workers: int, figures: int) -> ClusterShape:
    """How ``workers`` workers are laid out for a job of so many figures.

    Processes of one thread each. Measured with 3,000 figures of 30 volumes (.nii.gz) on two cores,
    median of three rounds: one thread 17.1 s, two threads 13.9 s, two threads in one worker
    process 17.6 s, two processes 13.5 s, and 9.0 s since they are forked with the kernels loaded.
    Drawing alone scales 1.8 times over two threads, but inflating a volume holds the GIL.
    """
    if workers == 1 or figures <= _FEW or uses_memory():
        return ClusterShape(0, workers)
    return ClusterShape(workers, 1)


@contextlib.contextmanager
def local_cluster(
    shape: ClusterShape, preload: Sequence[str], daemonic: bool = True
) -> Iterator[Client]:
    """Dask workers on this machine; processes are forked with the modules ``preload`` loaded, and
    may have processes of their own unless they are ``daemonic``."""
    import dask
    from distributed import Client, LocalCluster, utils

    # The fork server has its modules. Dask would name others for it, and import each of them here
    # to see whether it is there: 0.4 s where pandas is.
    utils._forkserver_preload_set = True
    settings = {
        # Nothing of size ever lies in a worker's memory on Dask's account.
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": False,
        # Our queues do the stealing: Dask would move items away from the volume they share.
        "distributed.scheduler.work-stealing": False,
        # Statistics that nobody reads, taken a hundred times a second from running workers.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.system-monitor.interval": "10s",
        "distributed.comm.timeouts.connect": "60s",
        "distributed.worker.multiprocessing-method": forkserver.METHOD,
        "distributed.worker.daemon": daemonic,
    }
    with (
        dask.config.set(settings),
        tempfile.TemporaryDirectory(prefix="fastcam-dask-") as scratch,
        _without_main(),
        steady_clock(),
        contextlib.ExitStack() as running,
    ):
        forkserver.heed_tracker_loss()
        try:
            if shape.processes:
                forkserver.start(preload)
            with _interrupts_deferred(), _losses():
                cluster = LocalCluster(
                    n_workers=max(1, shape.processes),
                    threads_per_worker=shape.threads,
                    processes=shape.processes > 0,
                    # By default they listen to the whole network.
                    dashboard_address="127.0.0.1:0",
                    worker_dashboard_address="127.0.0.1:0",
                    local_directory=scratch,
                    silence_logs=logging.CRITICAL,
                    memory_limit=0,
                )
                # Closed while it starts a worker anew, it could wait for ever.
                running.callback(cluster.close, timeout=_CLOSING)
                client = running.enter_context(Client(cluster, set_as_default=False))
            yield client
        finally:
            # Whether all that was asked for is done is known by now, whatever ends badly.
            with _interrupts_deferred(), contextlib.suppress(*LOSSES), _quiet():
                running.close()


@contextlib.contextmanager
def _losses() -> Iterator[None]:
    """What Dask raises where its processes are killed while it starts them, as
    :class:`SchedulerError`."""
    try:
        yield
    except LOSSES as error:
        silence_loops()
        raise SchedulerError(
            f"the worker processes were lost ({type(error).__name__}); was one killed, or is the "
            f"memory full? {KEPT}"
        ) from error


def silence_loops() -> dict[str, int]:
    """Let Dask and event loops that lose their other end not say so at length; the levels before.

    Dask's loggers have levels of their own, each.
    """
    names = [
        name
        for name in ("asyncio", *logging.root.manager.loggerDict)
        if name.partition(".")[0] in ("asyncio", "distributed", "tornado")
    ]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return levels


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silent loops within the block, and after it where it ended by an error: what is left of them
    may speak up later."""
    levels = silence_loops()
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Let worker processes start without importing the main script again.

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
def _interrupts_deferred() -> Iterator[None]:
    """Ctrl-C takes effect when the block is left; what is started in it never sees it at all.

    A terminal sends it to every process at once. Workers would answer with tracebacks; this
    process ends them in good order.
    """
    # Started later, by a thread of the cluster, it would unblock the signal there.
    resource_tracker.ensure_running()
    with stops_deferred({signal.SIGINT}):
        yield


@contextlib.contextmanager
def existing_cluster(scheduler: str) -> Iterator[Client]:
    """A running Dask cluster, by address (``tcp://host:8786``) or scheduler file."""
    from distributed import Client

    if uses_memory():
        raise InputError(
            f"--scheduler {scheduler}: memory:// is the memory of this process, which workers of a "
            "cluster don't see; leave one of them out"
        )
    address = address_of(scheduler)
    try:
        client = Client(address, timeout="15s", set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(f"--scheduler {scheduler}: no Dask scheduler answers there") from error
    with steady_clock(), _quiet(), client:
        try:
            client.wait_for_workers(1, timeout=60)
        except TimeoutError as error:
            raise InputError(
                f"--scheduler {scheduler}: the scheduler has no workers; start some with "
                f"`dask worker`"
            ) from error
        yield client


def this_worker() -> tuple[str | int, int]:
    """The name of the Dask worker that this process is, of a local cluster its 0-based number, and
    how many threads it has."""
    from distributed import get_worker

    worker = get_worker()
    return worker.name, worker.state.nthreads
