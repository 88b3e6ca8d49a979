"""States, contents and starts of objects that a thread keeps for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import PurePosixPath

from fastcam.storage.object_state import ObjectState

# Bytes of the start of an object.
START = 1 << 14
_Kept = Mapping[tuple[str, PurePosixPath], tuple[ObjectState | None, bytes | None]]
_kept: ContextVar[_Kept] = ContextVar("_kept", default={})  # noqa: B039 - never changed


_starts: ContextVar[Mapping[tuple[str, PurePosixPath], bytes]] = ContextVar(
    "_starts",
    default={},  # noqa: B039 - never changed
)


@contextmanager
def keeping(objects: _Kept) -> Iterator[None]:
    """Within the block, in this thread and those it starts with its context, ``objects`` are kept,
    too: state and content, None where one isn't, by scheme and key."""
    token = _kept.set({**_kept.get(), **objects})
    try:
        yield
    finally:
        _kept.reset(token)


def kept_state(scheme: str, key: PurePosixPath) -> ObjectState | None:
    """The state of an object whose state is kept; None of others."""
    entry = _kept.get().get((scheme, key))
    return None if entry is None else entry[0]


def kept_content(scheme: str, key: PurePosixPath) -> bytes | None:
    """The content of an object whose content is kept; None of others."""
    entry = _kept.get().get((scheme, key))
    return None if entry is None else entry[1]


@contextmanager
def keeping_starts(starts: Mapping[tuple[str, PurePosixPath], bytes]) -> Iterator[None]:
    """As :func:`keeping`, of the first ``START`` bytes of objects, or all of shorter ones."""
    token = _starts.set(starts)
    try:
        yield
    finally:
        _starts.reset(token)


def kept_start(scheme: str, key: PurePosixPath) -> bytes | None:
    """The start of an object whose start or content is kept; None of others."""
    content = kept_content(scheme, key)
    return _starts.get().get((scheme, key)) if content is None else content[:START]
