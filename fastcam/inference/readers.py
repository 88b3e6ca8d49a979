"""Processes that read ahead of a model, and what happens where one of them is lost."""

from __future__ import annotations

import gc
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from typing import Any

from torch import multiprocessing
from torch.utils.data import DataLoader, Dataset

from fastcam.errors import LostStoreError, SchedulerError
from fastcam.run.freed_memory import keep_freed_memory
from fastcam.run.processes import end_with_parent
from fastcam.run.stops import STOPS, stops_deferred

_LOST = (
    "a process that reads images was lost; was it killed, or is the memory full? what is finished "
    "is kept: run the same command again to go on"
)
# A reader whose turn doesn't come goes on after so many seconds: none waits for a caller for ever.
_LONGEST_WAIT = 1.0
# In a reader that takes turns with the caller: set while the caller waits.
_turn: Event | None = None


def read_ahead(
    data: Dataset[Any], readers: int, prefetch: int, in_turns: bool = False, **options: Any
) -> Iterator[Any]:
    """What a DataLoader with ``options`` gives of ``data``, read by ``readers`` processes (0: by
    the caller), each ``prefetch`` pieces ahead.

    They start at once, and end with this process, however that ends. ``in_turns``: they work while
    the caller waits for them, where ``data`` calls :func:`await_turn` before each piece of work.
    Raises :class:`SchedulerError` where one of them is lost.
    """
    if not readers:
        return iter(DataLoader(data, **options))
    before = signal.getsignal(signal.SIGCHLD)
    turn = multiprocessing.Event() if in_turns else None
    begin = partial(_begin, turn)
    loader = DataLoader(
        data, num_workers=readers, prefetch_factor=prefetch, worker_init_fn=begin, **options
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
    return _checked(iterator, turn)


def await_turn() -> None:
    """Wait, in a reader that takes turns with its caller, until the caller waits for it.

    Where a model has all cores, a reader beside it makes each of its steps wait for the one thread
    that shares its core: ResNet-50 in bf16 loses as much time as the reader takes, and half of that
    where both cores read while it waits.
    """
    if _turn is not None:
        _turn.wait(_LONGEST_WAIT)


def _begin(turn: Event | None, _reader: int) -> None:
    """Runs first in each reader."""
    global _turn
    _turn = turn
    end_with_parent()
    keep_freed_memory()
    # What came with the fork is not looked at by every collection: it would be copied by that.
    gc.freeze()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def _checked(iterator: Any, turn: Event | None) -> Iterator[Any]:
    try:
        while True:
            if turn is not None:
                turn.set()
            try:
                piece = next(iterator)
            except StopIteration:
                return
            if turn is not None:
                turn.clear()
            yield piece
    except LostStoreError as error:
        # PyTorch puts the reader's traceback before what it says.
        text = str(error).rstrip().rpartition(f"{type(error).__name__}: ")[2]
        raise type(error)(text) from error
    except (RuntimeError, OSError, EOFError) as error:
        if not _one_is_lost(iterator._workers):
            raise
        raise SchedulerError(_LOST) from error
    finally:
        if turn is not None:
            turn.set()  # readers that are told to end do so at once


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
