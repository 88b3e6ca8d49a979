"""Processes that read ahead of a model, and what happens where one of them is lost."""

from __future__ import annotations

import gc
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from multiprocessing.process import BaseProcess
from typing import Any

from torch.utils.data import DataLoader, Dataset

from fastcam.errors import SchedulerError
from fastcam.run.freed_memory import keep_freed_memory
from fastcam.run.processes import end_with_parent
from fastcam.run.stops import STOPS, stops_deferred

_LOST = (
    "a process that reads images was lost; was it killed, or is the memory full? what is finished "
    "is kept: run the same command again to go on"
)


def read_ahead(data: Dataset[Any], readers: int, prefetch: int, **options: Any) -> Iterator[Any]:
    """What a DataLoader with ``options`` gives of ``data``, read by ``readers`` processes (0: by
    the caller), each ``prefetch`` pieces ahead.

    They start at once, and end with this process, however that ends. Raises
    :class:`SchedulerError` where one of them is lost.
    """
    if not readers:
        return iter(DataLoader(data, **options))
    before = signal.getsignal(signal.SIGCHLD)
    loader = DataLoader(
        data, num_workers=readers, prefetch_factor=prefetch, worker_init_fn=_begin, **options
    )
    # Between a fork and the release of logging's lock Python would swallow a KeyboardInterrupt, and
    # the lock with it: the run would wait for that for ever, instead of ending.
    try:
        with stops_deferred():
            iterator = iter(loader)
    except RuntimeError as error:
        # What PyTorch's handler of SIGCHLD raises.
        if "DataLoader worker" not in str(error):
            raise
        raise SchedulerError(_LOST) from error
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            # That handler raises wherever the main thread happens to be, in the model too; that a
            # reader is lost is seen when something is taken from it.
            signal.signal(signal.SIGCHLD, before)
    return _checked(iterator)


def _begin(_reader: int) -> None:
    """Runs first in each reader."""
    end_with_parent()
    keep_freed_memory()
    # What came with the fork is not looked at by every collection: it would be copied by that.
    gc.freeze()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def _checked(iterator: Any) -> Iterator[Any]:
    try:
        yield from iterator
    except (RuntimeError, OSError, EOFError) as error:
        if not _one_is_lost(iterator._workers):
            raise
        raise SchedulerError(_LOST) from error


def _one_is_lost(readers: Sequence[BaseProcess]) -> bool:
    """Whether one of ``readers`` was ended by something else than the end of its work.

    The system closes a killed process's connections, which is what fails here, before the process
    counts as ended: its end is waited for a second.
    """
    last = time.monotonic() + 1.0
    while True:
        # One that has read all that it was given ended by itself, with 0.
        if any(reader.exitcode not in (None, 0) for reader in readers):
            return True
        if time.monotonic() > last:
            return False
        time.sleep(0.01)
