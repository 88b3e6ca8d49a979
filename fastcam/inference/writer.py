"""A thread that writes finished batches while the next one runs."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

# Two batches wait at most: more would only fill memory when the disk is the slower one.
_WAITING = 2


class Writer:
    """Runs what it is given, in order, in one thread; a context manager that waits for the rest.

    An exception in the thread ends it, and is raised in the caller's thread: by the next
    :meth:`put`, or on leaving.
    """

    def __init__(self) -> None:
        self._waiting: queue.Queue[Callable[[], None] | None] = queue.Queue(_WAITING)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="fastcam-writer", daemon=True)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def put(self, action: Callable[[], None]) -> None:
        """Hand over an action; waits while too many are unwritten."""
        self._raise()
        self._waiting.put(action)

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        # What was computed is written also when the caller failed: it need not be done again.
        self._waiting.put(None)
        self._thread.join()
        if error is None:
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (action := self._waiting.get()) is not None:
            if self._error is not None:
                continue  # keep taking, so that nobody waits for room for ever
            try:
                action()
            except BaseException as error:  # noqa: BLE001
                self._error = error
