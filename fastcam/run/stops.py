"""Ctrl-C, SIGTERM and SIGHUP, put off while something is started that they would leave broken."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType

STOPS = frozenset(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


@contextlib.contextmanager
def stops_deferred(stops: Iterable[signal.Signals] = STOPS) -> Iterator[None]:
    """``stops`` take effect when the block is left; processes started in it have them blocked.

    Blocking them in this thread is not enough: the system hands a signal to any thread that has it
    open (Zarr's event loop, a pool of PyTorch), and Python then runs the handler in this one. So
    the handlers wait, too. In another thread than the main one Python runs none.
    """
    deferred = _Deferred()
    with deferred.handlers(stops):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, stops)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Deferred:
    """Handlers that keep what arrives in this process until it is let through."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._waiting = True
        self._arrived: list[int] = []
        self._before: dict[int, signal._HANDLER] = {}

    @contextlib.contextmanager
    def handlers(self, stops: Iterable[signal.Signals]) -> Iterator[None]:
        if threading.current_thread() is threading.main_thread():
            for stop in stops:
                handler = signal.getsignal(stop)
                # None is a handler that Python did not set and can't put back.
                if handler is not None and handler != signal.SIG_IGN:
                    self._before[stop] = handler
                    signal.signal(stop, self._handle)
        try:
            yield
        finally:
            # First this, so that a stop between two of the lines below acts as it did before.
            self._waiting = False
            for number, handler in self._before.items():
                signal.signal(number, handler)
            for number in self._arrived:
                signal.raise_signal(number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._waiting and os.getpid() == self._process:
            self._arrived.append(number)
            return
        # A forked child's, or one that came while the handlers were put back.
        handler = self._before[number]
        if callable(handler):
            handler(number, frame)
        else:
            signal.signal(number, handler)
            signal.raise_signal(number)
