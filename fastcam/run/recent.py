"""What was opened last, shared by the threads of a process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Keeps as many of the values used last as there are threads that ask.

    A thread that asks for what another is just opening waits for it instead of opening it again.
    What failed to open is not kept: its error goes to all who waited for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: set[int] = set()
        self._kept: OrderedDict[Hashable, Future[Value]] = OrderedDict()

    def get(self, key: Hashable, opener: Callable[[], Value]) -> Value:
        """The value of ``key``, by ``opener`` if it is not there."""
        with self._lock:
            self._threads.add(threading.get_ident())
            future = self._kept.get(key)
            mine = future is None
            if future is None:
                future = self._kept[key] = Future()
            self._kept.move_to_end(key)
            while len(self._kept) > len(self._threads):
                self._kept.popitem(last=False)
        if mine:
            try:
                future.set_result(opener())
            except BaseException as error:  # noqa: BLE001
                # Whoever waits for it must hear of it, KeyboardInterrupt included.
                with self._lock:
                    if self._kept.get(key) is future:
                        del self._kept[key]
                future.set_exception(error)
        return future.result()
