"""What was opened last, shared by the threads of a process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")


class RecentCache(Generic[Value]):
    """A cache of the values used last, as many as there are threads that use it.

    A thread that needs what another is just opening waits for it instead of opening it again.
    What failed to open is not cached: its error is raised in all threads that waited for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: set[int] = set()
        self._futures: OrderedDict[Hashable, Future[Value]] = OrderedDict()

    def get(self, key: Hashable, opener: Callable[[], Value]) -> Value:
        """The value of ``key``, by ``opener`` if it is not cached."""
        with self._lock:
            self._threads.add(threading.get_ident())
            future = self._futures.get(key)
            missing = future is None
            if future is None:
                future = self._futures[key] = Future()
            self._futures.move_to_end(key)
            while len(self._futures) > len(self._threads):
                self._futures.popitem(last=False)
        if missing:
            try:
                future.set_result(opener())
            except BaseException as error:  # noqa: BLE001
                # Threads that wait must not hang, whatever it is, KeyboardInterrupt included.
                with self._lock:
                    if self._futures.get(key) is future:
                        del self._futures[key]
                future.set_exception(error)
        return future.result()
