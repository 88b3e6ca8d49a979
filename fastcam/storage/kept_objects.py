"""States and contents of objects that a thread keeps for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import PurePosixPath

from fastcam.storage.object_state import ObjectState

_Kept = Mapping[tuple[str, PurePosixPath], tuple[ObjectState, bytes | None]]
_kept: ContextVar[_Kept] = ContextVar("_kept", default={})  # noqa: B039 - never changed


@contextmanager
def keeping(objects: _Kept) -> Iterator[None]:
    """Within the block, in this thread and those it starts with its context, ``objects`` are kept:
    state and content, None where it isn't, by scheme and key."""
    token = _kept.set(objects)
    try:
        yield
    finally:
        _kept.reset(token)


def kept_state(scheme: str, key: PurePosixPath) -> ObjectState | None:
    """The state of an object that is kept; None of others."""
    entry = _kept.get().get((scheme, key))
    return None if entry is None else entry[0]


def kept_content(scheme: str, key: PurePosixPath) -> bytes | None:
    """The content of an object that is kept; None of others."""
    entry = _kept.get().get((scheme, key))
    return None if entry is None else entry[1]
