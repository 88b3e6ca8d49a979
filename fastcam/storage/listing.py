"""What lies in a bucket: asked object by object, or for a while answered from one listing.

A request takes 10 to 50 ms, and a listing tells a thousand objects a request: looking for 10,000
cases by name would be some hundred thousand requests, listing their folder is ten.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from fastcam.storage.kept_objects import kept_state
from fastcam.storage.object_state import ObjectState
from fastcam.storage.object_store import ask

_MODIFIED = ("LastModified", "last_modified", "mtime", "updated", "created")
_TAGS = ("ETag", "etag", "md5Hash", "content_md5")


class Listing:
    """All objects below the folder ``key``, or the object of that name, from one listing."""

    def __init__(self, scheme: str, key: PurePosixPath) -> None:
        self.objects: dict[PurePosixPath, ObjectState] = {}
        self.folders: dict[PurePosixPath, dict[str, ObjectState]] = {}
        found = ask(f"{scheme}://{key}", lambda fs, url: fs.find(url, detail=True))
        # adlfs gives a list of names where the folder is an object.
        for name, info in found.items() if isinstance(found, dict) else ():
            text = str(name).removeprefix(f"{scheme}://").strip("/")
            path = PurePosixPath(text)
            # Names that no path has; some programs put an empty object for a folder.
            if path == key:
                self.objects[path] = _state_of(path, info)
            elif str(path) == text and str(name)[-1:] != "/":
                self._add(path, _state_of(path, info))

    def _add(self, path: PurePosixPath, state: ObjectState) -> None:
        self.objects[path] = state
        self.folders.setdefault(path.parent, {})[path.name] = state
        folder = path.parent
        while len(folder.parts) > 1 and folder.name not in self.folders.get(folder.parent, {}):
            self.folders.setdefault(folder.parent, {})[folder.name] = _folder_state(folder)
            folder = folder.parent

    def state(self, path: PurePosixPath) -> ObjectState | None:
        """The state of an object or a folder; None where there is neither."""
        if path in self.objects:
            return self.objects[path]
        return _folder_state(path) if path in self.folders else None


_lock = threading.RLock()
# The folders whose listing may be used, how often each was asked for, and the listing, once made.
_listed: dict[tuple[str, PurePosixPath], list[Any]] = {}
# Likewise those whose listing is kept from one block to the next.
_kept: dict[tuple[str, PurePosixPath], list[Any]] = {}


def _key_of(folder: Path | None) -> tuple[str, PurePosixPath] | None:
    """Scheme and key of a folder in a bucket; None of local ones."""
    scheme = getattr(folder, "scheme", None)
    return None if scheme is None else (scheme, getattr(folder, "key"))  # noqa: B009


@contextmanager
def listed(*folders: Path | None) -> Iterator[None]:
    """Within the block, what lies below ``folders`` is answered from one listing each, which is
    made at the first question; what this process writes there makes it be made anew.

    Nothing happens for local folders and None.
    """
    with _counted(_listed, folders):
        yield


@contextmanager
def kept_listings(*folders: Path | None) -> Iterator[None]:
    """Within the block, all blocks of :func:`listed` for ``folders``, or for folders in them, share
    one listing of each, whatever others write there meanwhile; between them the store is asked.

    Nothing happens for local folders and None.
    """
    with _counted(_kept, folders):
        yield


@contextmanager
def _counted(
    entries: dict[tuple[str, PurePosixPath], list[Any]], folders: Iterable[Path | None]
) -> Iterator[None]:
    keys = [key for key in map(_key_of, folders) if key is not None]
    with _lock:
        for key in keys:
            entries.setdefault(key, [0, None])[0] += 1
    try:
        yield
    finally:
        with _lock:
            for key in keys:
                entries[key][0] -= 1
                if not entries[key][0]:
                    del entries[key]


class KeptListing:
    """As :func:`listed`, a context manager that may be entered again and keeps its listing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._listing: Listing | None = None

    def __enter__(self) -> None:
        self._block = listed(self._folder)
        self._block.__enter__()
        if key := _key_of(self._folder):
            with _lock:
                _listed[key][1] = _listed[key][1] or self._listing

    def __exit__(self, *_: object) -> None:
        if key := _key_of(self._folder):
            with _lock:
                self._listing = _listed[key][1]
        self._block.__exit__(None, None, None)


def forget(scheme: str, key: PurePosixPath) -> None:
    """Make listings that ``key`` lies in be made anew."""
    with _lock:
        for (other, folder), entry in (*_listed.items(), *_kept.items()):
            if other == scheme and (key.is_relative_to(folder) or folder.is_relative_to(key)):
                entry[1] = None


def _listing_of(scheme: str, key: PurePosixPath) -> Listing | None:
    """The listing that tells all of ``key``; None where none may be used."""
    with _lock:
        for (other, folder), entry in _listed.items():
            if other == scheme and key.is_relative_to(folder):
                if entry[1] is None:
                    entry[1] = _kept_listing(scheme, folder) or Listing(scheme, folder)
                    if (scheme, folder) in _kept:
                        _kept[scheme, folder][1] = entry[1]
                listing: Listing = entry[1]
                return listing
    return None


def _kept_listing(scheme: str, key: PurePosixPath) -> Listing | None:
    for (other, folder), (_, listing) in _kept.items():
        if other == scheme and key.is_relative_to(folder) and listing is not None:
            assert isinstance(listing, Listing)
            return listing
    return None


def is_unlisted(scheme: str, key: PurePosixPath) -> bool:
    """Whether a listing that was made, and may be used, has no object ``key``."""
    listing = _made_listing_of(scheme, key)
    return listing is not None and key not in listing.objects


def listed_state(scheme: str, key: PurePosixPath) -> ObjectState | None:
    """The state of an object as far as it is known without a question; None where it isn't."""
    if (kept := kept_state(scheme, key)) is not None:
        return kept
    listing = _made_listing_of(scheme, key)
    return None if listing is None else listing.objects.get(key)


def _made_listing_of(scheme: str, key: PurePosixPath) -> Listing | None:
    with _lock:
        for (other, folder), entry in _listed.items():
            if other == scheme and key.is_relative_to(folder) and entry[1] is not None:
                listing: Listing = entry[1]
                return listing
    return None


def state(scheme: str, key: PurePosixPath) -> ObjectState | None:
    """The state of an object or a folder; None where there is neither."""
    try:
        return existing_state(scheme, key)
    except FileNotFoundError:
        return None


def existing_state(scheme: str, key: PurePosixPath) -> ObjectState:
    """As :func:`state`; FileNotFoundError, whose reason may be that there is no such bucket, where
    there is neither."""
    if (kept := kept_state(scheme, key)) is not None:
        return kept
    listing = _listing_of(scheme, key)
    if listing is None:
        return _state_of(key, ask(f"{scheme}://{key}", lambda fs, url: fs.info(url)))
    found = listing.state(key)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{scheme}://{key}")
    return found


def children(scheme: str, key: PurePosixPath) -> list[tuple[str, ObjectState]]:
    """Names and states of what lies in a folder, by name; FileNotFoundError where there is none."""
    listing = _listing_of(scheme, key)
    if listing is not None:
        if key not in listing.folders:
            raise FileNotFoundError(2, "No such file or directory", f"{scheme}://{key}")
        return sorted(listing.folders[key].items())
    found = ask(f"{scheme}://{key}", lambda fs, url: fs.ls(url, detail=True))
    inside = {}
    for info in found:
        path = PurePosixPath(str(info["name"]).strip("/"))
        if path.parent == key and path.name:
            inside[path.name] = _state_of(path, info)
    return sorted(inside.items())


def tree(scheme: str, key: PurePosixPath) -> list[tuple[PurePosixPath, ObjectState]]:
    """All objects below a folder by the way from it, with their states."""
    listing = _listing_of(scheme, key) or Listing(scheme, key)
    return sorted(
        (path.relative_to(key), state)
        for path, state in listing.objects.items()
        if path.is_relative_to(key) and path != key
    )


def all_parts(scheme: str, key: PurePosixPath) -> list[tuple[tuple[str, ...], bool]]:
    """The parts of the ways to all folders and objects below a folder, with whether each is a
    folder."""
    found: dict[tuple[str, ...], bool] = {}
    for path, _ in tree(scheme, key):
        found[path.parts] = False
        found |= {path.parts[:end]: True for end in range(1, len(path.parts))}
    return sorted(found.items())


def _state_of(path: PurePosixPath, info: dict[str, Any]) -> ObjectState:
    if info.get("type") == "directory":
        return _folder_state(path)
    moment = next((info[name] for name in _MODIFIED if info.get(name) is not None), 0)
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    seconds = int(moment.timestamp() if isinstance(moment, datetime) else moment)
    tag = next((str(info[name]).strip('"') for name in _TAGS if info.get(name)), "")
    # A HEAD tells whole seconds, a listing may tell milliseconds.
    below = _hash(tag) % 10**9 if tag else 0
    size = int(info.get("size") or 0)
    return ObjectState(size, seconds * 10**9 + below, stat.S_IFREG, _hash(str(path)), tag)


def _folder_state(path: PurePosixPath) -> ObjectState:
    return ObjectState(0, 0, stat.S_IFDIR, _hash(str(path)))


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "little")
