"""The starts of objects: what a file's header says is known without fetching all of it."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

from fastcam.storage.kept_objects import START, keeping_starts, kept_start
from fastcam.storage.listing import listed_state
from fastcam.storage.object_path import ObjectPath
from fastcam.storage.object_state import ObjectState
from fastcam.storage.parallel import side_by_side

Result = TypeVar("Result")
# Objects whose starts are fetched together, and those that a process remembers: 64 MB.
_GROUP, _REMEMBERED = 256, 4096
_lock = threading.Lock()
_remembered: OrderedDict[tuple[str, PurePosixPath], tuple[ObjectState, bytes]] = OrderedDict()


def by_starts(function: Callable[[Path], Result], paths: Sequence[Path]) -> list[Result]:
    """``function`` of each path, in order, where the starts of objects have been fetched side by
    side: of what looks at headers only."""
    results: list[Result] = []
    for first in range(0, len(paths), _GROUP):
        group = paths[first : first + _GROUP]
        with starts_ahead(group):
            results += map(function, group)
    return results


@contextmanager
def starts_ahead(paths: Sequence[Path]) -> Iterator[None]:
    """Within the block, in this thread, the starts of those of ``paths`` that are objects are
    known; one that a listing shows unchanged isn't fetched a second time."""
    objects = [path for path in dict.fromkeys(paths) if isinstance(path, ObjectPath)]
    if not objects:
        yield
        return
    starts = dict(zip(objects, side_by_side(_start, objects), strict=True))
    kept = {(p.scheme, p.key): start for p, start in starts.items() if start is not None}
    with keeping_starts(kept):
        yield


def header_of(path: Path, buffered: bool = True) -> IO[bytes]:
    """A file whose header is to be read: of an object only the start is fetched, until more is
    asked for. One that isn't ``buffered`` gives less than it is asked for at the end of the
    start, as decoders like it that ask for much more than they need."""
    if not isinstance(path, ObjectPath):
        return path.open("rb")
    raw = _StartedObject(path)
    return io.BufferedReader(raw, 1024) if buffered else raw  # type: ignore[return-value]


def _start(path: ObjectPath) -> bytes | None:
    """None where there is none, or it can't be fetched."""
    key = path.scheme, path.key
    state = listed_state(*key)
    with _lock:
        entry = _remembered.get(key)
    if entry is not None and state == entry[0]:
        return entry[1]
    try:
        start = path.read_start_of(START)
    except OSError:
        return None
    if state is not None and state.tag:
        with _lock:
            _remembered[key] = state, start
            if len(_remembered) > _REMEMBERED:
                _remembered.popitem(last=False)
    return start


class _StartedObject(io.RawIOBase):
    def __init__(self, path: ObjectPath) -> None:
        self._path, self._position = path, 0
        self._whole: IO[bytes] | None = None
        start = kept_start(path.scheme, path.key)
        self._start = path.read_start(START) if start is None else start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        before = (0, self._position, self._end() if whence == io.SEEK_END else 0)[whence]
        self._position = max(0, before + offset)
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        piece = self._start[self._position : self._position + len(buffer)]
        if not piece and len(self._start) == START:
            piece = self._rest(len(buffer))
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def close(self) -> None:
        if self._whole is not None:
            self._whole.close()
        super().close()

    def _rest(self, count: int) -> bytes:
        if self._whole is None:
            self._whole = self._path.open("rb")
        self._whole.seek(self._position)
        return self._whole.read(count)

    def _end(self) -> int:
        return self._path.stat().st_size if len(self._start) == START else len(self._start)
