"""The process that worker processes are forked from, started before anything heavy is imported.

It imports what workers need and loads the compiled kernels, once and while this process is still
reading its input: with two workers the first figure comes 0.9 s earlier than when each worker
starts from nothing, and 10,000 figures take 2 s less (benchmarks/bench_job.py).
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence, Sized
from multiprocessing import forkserver, resource_tracker

from fastcam.run.processes import child_ended
from fastcam.run.stops import stops_deferred

METHOD = "forkserver"


def start(preload: Sequence[str]) -> None:
    """Start it, if it does not run already; ``preload`` names the modules that it imports.

    Nothing in it has threads or open files: arrays are opened by the workers. Ctrl-C never reaches
    it or its children, which end with the process that started them.
    """
    context = multiprocessing.get_context(METHOD)
    context.set_forkserver_preload(list(preload))
    resource_tracker.ensure_running()
    with stops_deferred({signal.SIGINT}):
        forkserver.ensure_running()


def server_pid() -> int | None:
    """The number of the process; None where there is none."""
    # The library has no public name for it.
    pid: int | None = getattr(forkserver._forkserver, "_forkserver_pid", None)
    return pid


class TrackerLoss:
    """Whether the resource tracker, which removes semaphores of processes that were killed, has
    been killed itself since this was made."""

    def __init__(self) -> None:
        resource_tracker.ensure_running()
        # The library has no public name for it.
        self._pid: int | None = getattr(resource_tracker._resource_tracker, "_pid", None)

    def silence(self) -> None:
        """Don't tell the tracker that takes its place of semaphores that it doesn't know, which it
        answers with tracebacks. They are removed by their owners all the same."""
        if self._pid is not None and child_ended(self._pid):
            resource_tracker.unregister = _unregister_nothing


def _unregister_nothing(name: Sized, rtype: str) -> None:
    pass
