"""Cases that were opened last, volumes and all, as many as a share of memory holds."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """What a cache holds."""

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""


Value = TypeVar("Value", bound=Sized)


class CaseCache(Generic[Value]):
    """The values used last whose arrays take no more than ``memory`` bytes together.

    Several threads use it: one opens a value, others that need the same one wait for it. The value
    that was opened last stays, however large. What failed to open is not cached: its error is
    raised in all threads that waited for it.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        # Decoding takes as much memory again, so that no two volumes are decoded at once.
        self._opening = threading.Lock()
        self._futures: OrderedDict[Hashable, Future[Value]] = OrderedDict()
        self._sizes: dict[Hashable, int] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays in the cache."""
        with self._lock:
            return sum(self._sizes.values())

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._futures

    def get(self, key: Hashable, opener: Callable[[], Value]) -> Value:
        """The value of ``key``, by ``opener`` if it is not cached."""
        with self._lock:
            future = self._futures.get(key)
            missing = future is None
            if future is None:
                future = self._futures[key] = Future()
            self._futures.move_to_end(key)
        if missing:
            self._open(key, opener, future)
        return future.result()

    def _open(self, key: Hashable, opener: Callable[[], Value], future: Future[Value]) -> None:
        try:
            with self._opening:
                value = opener()
        except BaseException as error:  # noqa: BLE001
            # Threads that wait must not hang, whatever it is.
            with self._lock:
                self._futures.pop(key, None)
            future.set_exception(error)
            return
        with self._lock:
            self._sizes[key] = value.nbytes
            self._evict(key)
        future.set_result(value)

    def _evict(self, latest: Hashable) -> None:
        total = sum(self._sizes.values())
        for key in list(self._futures):
            if total <= self._memory:
                return
            if key != latest and key in self._sizes:
                total -= self._sizes.pop(key)
                del self._futures[key]
