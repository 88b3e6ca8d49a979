"""The case that is drawn next, opened by a thread of its own while others are drawn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fastcam.read.volumes.memory_limit import current_limit
from fastcam.run.input_files import FileState, file_state
from fastcam.storage.object_path import ObjectPath

# Two volumes are in memory instead of one: only where the files together have no more bytes, and
# where so many volumes like the present one would fit. The next one may take all that is allowed.
_MOST_BYTES = 128 << 20
_LEAST_SHARES = 8


class ReadAhead(threading.local):
    """The one case that was opened ahead last; each thread that draws has its own."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._key: Hashable = None
        self._states: list[FileState | None] = []

    def begin(
        self, key: Hashable, files: Sequence[Path], opener: Callable[[], object], held: int = 0
    ) -> None:
        """Open the case ``key``, which is made of ``files``, by ``opener``, unless that was begun.

        What ``opener`` gives or raises is dropped: it keeps what it opens, and whoever needs the
        case opens it again. Nothing happens where the files are large or in a bucket, or where the
        ``held`` bytes of the case that is drawn are much of the memory allowed.
        """
        limit = current_limit()
        if key == self._key or (limit is not None and held * _LEAST_SHARES > limit.share):
            return
        if any(isinstance(path, ObjectPath) for path in files):
            return
        self._key, self._states = key, [file_state(path) for path in files]
        if sum(state.size for state in self._states if state is not None) > _MOST_BYTES:
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1)
        self._thread.submit(opener)

    def states(self, key: Hashable, files: Sequence[Path]) -> list[FileState | None]:
        """The states of ``files`` from before the case ``key`` was opened: as they are now, or as
        they were when it was opened ahead, the first time that is asked for."""
        states = self._states if key == self._key else []
        if len(states) != len(files):
            return [file_state(path) for path in files]
        self._states = []
        return states
