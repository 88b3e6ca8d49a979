"""The process that worker processes are forked from, started before anything heavy is imported.

It imports what workers need and loads the compiled kernels, once and while this process is still
reading its input: with two workers the first figure comes 0.9 s earlier than when each worker
starts from nothing, and 10,000 figures take 2 s less (benchmarks/bench_job.py).
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from multiprocessing import forkserver, resource_tracker

METHOD = "forkserver"


def start(preload: Sequence[str]) -> None:
    """Start it, if it does not run already; ``preload`` names the modules that it imports.

    Nothing in it has threads or open files: arrays are opened by the workers. Ctrl-C never reaches
    it or its children, which end with the process that started them.
    """
    context = multiprocessing.get_context(METHOD)
    context.set_forkserver_preload(list(preload))
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
