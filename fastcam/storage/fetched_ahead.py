"""Objects fetched before they are asked for: what reads a few images one after the other waits for
one request in the place of three an image."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fastcam.storage.kept_objects import keeping
from fastcam.storage.object_path import ObjectPath
from fastcam.storage.object_state import ObjectState
from fastcam.storage.parallel import side_by_side

# Bytes of an object, and of all objects at once, up to which they are fetched ahead.
_EACH, _ALL = 8 << 20, 64 << 20


@contextmanager
def fetched_ahead(paths: Iterable[Path | None]) -> Iterator[None]:
    """Within the block, in this thread, ``paths`` are read, and looked at, as they are now: their
    objects, and those in their folders, have been fetched side by side.

    Large ones are looked at only. What isn't there or can't be fetched is asked for again where it
    is read, and raises there. Nothing happens for local paths and None.
    """
    objects = _objects(paths)
    if not objects:
        yield
        return
    found = [entry for entries in side_by_side(_looked_at, objects) for entry in entries]
    chosen = within_limits(found)
    contents = dict(zip(chosen, side_by_side(content_of, chosen), strict=True))
    kept = {(path.scheme, path.key): (state, contents.get(path)) for path, state in found}
    with keeping(kept):
        yield


@contextmanager
def contents_ahead(paths: Iterable[Path | None]) -> Iterator[None]:
    """As :func:`fetched_ahead`, of objects whose states nobody asks for: one request each. Of
    folders and large objects nothing is known then."""
    objects = _objects(paths)
    if not objects:
        yield
        return
    room, lock = _ALL, threading.Lock()

    def fetch(path: ObjectPath) -> bytes | None:
        nonlocal room
        if room <= 0:
            return None
        try:
            content = path.read_start_of(_EACH)
        except OSError:
            return None
        with lock:
            room -= len(content)
        # One that is as long as what was asked for may be longer.
        return content if len(content) < _EACH else None

    contents = side_by_side(fetch, objects)
    with keeping(
        {(path.scheme, path.key): (None, c) for path, c in zip(objects, contents, strict=True)}
    ):
        yield


def within_limits(found: Iterable[tuple[ObjectPath, ObjectState]]) -> list[ObjectPath]:
    """Those of some objects that are small, until all of them together are no longer so."""
    chosen, room = [], _ALL
    for path, state in found:
        if state.st_size <= min(_EACH, room):
            room -= state.st_size
            chosen.append(path)
    return chosen


def content_of(path: ObjectPath) -> bytes | None:
    """The content of an object; None where it can't be fetched."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def _objects(paths: Iterable[Path | None]) -> Sequence[ObjectPath]:
    return [path for path in dict.fromkeys(paths) if isinstance(path, ObjectPath)]


def _looked_at(path: ObjectPath) -> list[tuple[ObjectPath, ObjectState]]:
    try:
        return path.tree_or_self()
    except OSError:
        return []
