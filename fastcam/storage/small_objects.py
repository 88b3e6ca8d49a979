"""The small objects of a folder that a process reads again and again: fetched side by side, and not
again as long as a listing says that their content is the same."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from fastcam.storage.fetched_ahead import content_of, within_limits
from fastcam.storage.kept_objects import keeping
from fastcam.storage.listing import listed
from fastcam.storage.object_path import ObjectPath
from fastcam.storage.object_state import ObjectState
from fastcam.storage.parallel import side_by_side

# Bytes that a process remembers, of which each object takes some besides its content.
_REMEMBERED, _OVERHEAD = 64 << 20, 500
# Bytes of all objects right in a folder up to which they are small, and how many are fetched.
_FOLDER, _MOST = 16 << 20, 20_000
_Key = tuple[str, PurePosixPath]
_lock = threading.Lock()
_remembered: OrderedDict[_Key, tuple[ObjectState, bytes]] = OrderedDict()


@contextmanager
def small_objects(folder: Path, wanted: Callable[[Path], bool]) -> Iterator[None]:
    """Within the block, what lies below ``folder`` is answered from one listing, and those objects
    that ``wanted`` chooses, by their way from ``folder``, have been fetched.

    Nothing is to be written there meanwhile. What can't be listed or fetched is asked for again
    where it is read, and raises there. Nothing happens for a local folder.
    """
    if not isinstance(folder, ObjectPath):
        yield
        return
    with listed(folder):
        try:
            found = [
                (path, state) for path, state in folder.tree() if wanted(path.relative_to(folder))
            ]
        except OSError:
            found = []
        with keeping({_key(path): kept for path, kept in _fetched(found).items()}):
            yield


def _fetched(
    found: Sequence[tuple[ObjectPath, ObjectState]],
) -> dict[ObjectPath, tuple[ObjectState, bytes]]:
    """States and contents of objects, as far as they are small and can be fetched."""
    states, chosen = dict(found), _small(found)
    with _lock:
        entries = {path: _remembered.get(_key(path)) for path in chosen}
    # Without a mark of its content it may be another one since the same second.
    known = {
        path: entry
        for path, entry in entries.items()
        if entry is not None and entry[0] == states[path] and entry[0].tag
    }
    missing = [path for path in chosen if path not in known]
    for path, content in zip(missing, side_by_side(content_of, missing), strict=True):
        # One that was written after the listing is another one.
        if content is not None and len(content) == states[path].st_size:
            known[path] = states[path], content
    _remember(known)
    return known


def _small(found: Sequence[tuple[ObjectPath, ObjectState]]) -> list[ObjectPath]:
    """Those of the objects that are to be fetched."""
    sizes: Counter[PurePosixPath] = Counter()
    for path, state in found:
        sizes[path.key.parent] += state.st_size
    small = [entry for entry in found if sizes[entry[0].key.parent] <= _FOLDER]
    return within_limits(small)[:_MOST]


def _remember(known: Mapping[ObjectPath, tuple[ObjectState, bytes]]) -> None:
    with _lock:
        for path, entry in known.items():
            _remembered[_key(path)] = entry
            _remembered.move_to_end(_key(path))
        size = sum(state.st_size + _OVERHEAD for state, _ in _remembered.values())
        while size > _REMEMBERED:
            _, (state, _) = _remembered.popitem(last=False)
            size -= state.st_size + _OVERHEAD


def _key(path: ObjectPath) -> _Key:
    return path.scheme, path.key
