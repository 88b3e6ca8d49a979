"""The process that worker processes are forked from, started before anything heavy is imported.

It imports what workers need and loads the compiled kernels, once and while this process is still
reading its input: with two workers the first figure comes 0.9 s earlier than when each worker
starts from nothing, and 10,000 figures take 2 s less (benchmarks/bench_job.py).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from multiprocessing import forkserver, resource_tracker
from typing import Any

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


def heed_tracker_loss() -> None:
    """From now on, tell the resource tracker, which removes semaphores of processes that were
    killed, only of those that it knows.

    Where it was killed itself, the one that takes its place would answer with tracebacks to all
    others; they are removed by their owners all the same.
    """
    resource_tracker.ensure_running()
    if isinstance(resource_tracker.unregister, _KnownOnly):
        return
    known = _KnownOnly(resource_tracker.register, resource_tracker.unregister)
    resource_tracker.register, resource_tracker.unregister = known.register, known


class _KnownOnly:
    """Takes the place of ``unregister``, for names that the tracker of today was told of."""

    def __init__(
        self, register: Callable[[Any, str], None], unregister: Callable[[Any, str], None]
    ) -> None:
        self._register, self._unregister = register, unregister
        self._first = _tracker_pid()
        self._trackers: dict[Any, int | None] = {}

    def register(self, name: Any, rtype: str) -> None:
        """Tell the tracker, which is started where there is none."""
        self._register(name, rtype)
        if _tracker_pid() != self._first:
            self._trackers[name] = _tracker_pid()

    def __call__(self, name: Any, rtype: str) -> None:
        told = self._trackers.pop(name, self._first)
        # A garbage collection may call this while the tracker is called: it can't be looked after.
        with contextlib.suppress(RuntimeError):
            resource_tracker.ensure_running()
        if told == _tracker_pid():
            self._unregister(name, rtype)


def _tracker_pid() -> int | None:
    # The library has no public name for it.
    pid: int | None = getattr(resource_tracker._resource_tracker, "_pid", None)
    return pid
