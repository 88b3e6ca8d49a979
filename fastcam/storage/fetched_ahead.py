"""Objects fetched before they are asked for: what reads a few images one after the other waits for
one request in the place of three an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    objects = [path for path in dict.fromkeys(paths) if isinstance(path, ObjectPath)]
    if not objects:
        yield
        return
    found = [entry for entries in side_by_side(_looked_at, objects) for entry in entries]
    chosen, room = [], _ALL
    for path, state in found:
        if state.st_size <= min(_EACH, room):
            room -= state.st_size
            chosen.append(path)
    contents = dict(zip(chosen, side_by_side(_content, chosen), strict=True))
    kept = {(path.scheme, path.key): (state, contents.get(path)) for path, state in found}
    with keeping(kept):
        yield


def _looked_at(path: ObjectPath) -> list[tuple[ObjectPath, ObjectState]]:
    try:
        return path.tree_or_self()
    except OSError:
        return []


def _content(path: ObjectPath) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
