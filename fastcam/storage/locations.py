"""Paths and URLs as the user gives them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, TypeGuard, TypeVar
from urllib.parse import unquote

from fastcam.errors import InputError
from fastcam.storage.object_path import ObjectEntry, ObjectPath
from fastcam.storage.object_store import SCHEMES, check_scheme
from fastcam.storage.parallel import side_by_side

Result = TypeVar("Result")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*(?:::[A-Za-z0-9+.-]+)*)://(.*)", re.DOTALL)
# Objects in a folder from which on it is listed: 1,000 a request.
_MANY = 16
# Parts of addresses that are keys: signed addresses of S3 and Google, tokens of Azure.
_SECRET = re.compile(r"[?&](X-Amz-|X-Goog-|AWSAccessKeyId|Signature|sig=|sv=)", re.IGNORECASE)


def as_path(place: str | os.PathLike[str]) -> Path:
    """The path of a text: an :class:`ObjectPath` of a URL, of ``file://`` and all others a local
    one; a path is given back as it is.

    InputError for what is no path, and for a URL of another kind, without a bucket, with
    credentials in it, or whose package isn't installed.
    """
    if isinstance(place, Path | ObjectPath):
        return place
    if not isinstance(place, str | os.PathLike):
        raise InputError(f"{type(place).__name__} is no path: give a text or a pathlib.Path")
    text = os.fspath(place)
    match = _SCHEME.match(text)
    if match is None:
        return Path(text)
    scheme, rest = match[1].lower(), match[2]
    if scheme == "file":
        return Path(unquote(rest.removeprefix("localhost")))
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in (*SCHEMES, "file"))
        raise InputError(f"{scheme}://…: URLs of this kind are not read; fastcam reads {known}")
    if _SECRET.search(rest) or ":" in rest.partition("/")[0].partition("@")[0]:
        raise InputError(
            f"{scheme}://…: the URL holds credentials; leave them out, and give them by the "
            "environment or the files that the service's own tools read"
        )
    parts = rest.rstrip("/").split("/")
    if not parts[0]:
        raise InputError(f"{text}: names no bucket; write {scheme}://BUCKET/FOLDER")
    if any(part in ("", ".", "..") for part in parts):
        raise InputError(f"{text}: has an empty, '.' or '..' part, which paths in buckets lack")
    check_scheme(scheme)
    return ObjectPath(scheme, PurePosixPath(*parts))


def is_url(text: str) -> bool:
    """Whether a text is a URL rather than a local path."""
    return _SCHEME.match(text) is not None


def is_path(value: object) -> TypeGuard[Path]:
    """Whether a value is a path, of this machine or in a bucket."""
    return isinstance(value, Path | ObjectPath)


def under(root: Path, text: str) -> Path:
    """The path of a text that is relative to ``root``, or a whole path or URL itself."""
    if is_url(text):
        return as_path(text)
    return Path(text) if text.startswith("/") else root / text


def readable(path: Path) -> Path | IO[bytes]:
    """What libraries that take a path or an open file are given: the path itself, or the content of
    an object, fetched whole."""
    return path.open("rb") if isinstance(path, ObjectPath) else path


def read_start(path: Path, count: int) -> bytes:
    """At most the first ``count`` bytes of a file; OSError where it can't be read."""
    if isinstance(path, ObjectPath):
        return path.read_start(count)
    with path.open("rb") as stream:
        return stream.read(count)


def crowded(paths: Iterable[Path]) -> list[Path]:
    """The folders in buckets in which many of ``paths`` lie: to list them takes fewer requests than
    to ask for each."""
    folders = Counter(path.parent for path in paths if isinstance(path, ObjectPath))
    return [folder for folder, count in folders.items() if count >= _MANY]


def absent(files: Sequence[Path]) -> list[Path]:
    """Those of ``files`` that are not there, objects in buckets asked for side by side."""
    found = on_each(_exists, files)
    return [file for file, there in zip(files, found, strict=True) if not there]


def on_each(function: Callable[[Path], Result], paths: Sequence[Path]) -> list[Result]:
    """``function`` of each path, in order; side by side where some are objects in buckets."""
    remote = any(isinstance(path, ObjectPath) for path in paths)
    return side_by_side(function, paths) if remote else list(map(function, paths))


def _exists(path: Path) -> bool:
    return path.exists()


def entries(folder: Path) -> Sequence[os.DirEntry[str] | ObjectEntry]:
    """What lies in a folder; OSError where it can't be read. The ``path`` of an entry goes through
    :func:`as_path`."""
    if isinstance(folder, ObjectPath):
        return folder.entries()
    with os.scandir(folder) as found:
        return list(found)


def files_below(folder: Path) -> list[Path]:
    """All files below a folder, links to folders not followed, in no order."""
    if isinstance(folder, ObjectPath):
        return [path for path, _ in folder.tree()]
    return [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]


def common_folder(folders: Iterable[Path]) -> Path:
    """The deepest folder that all of these absolute ones lie in, or are; ValueError where there is
    none, as of two buckets."""
    first, *others = folders
    if len({isinstance(folder, ObjectPath) for folder in (first, *others)}) > 1:
        raise ValueError("some lie on this machine and some don't")
    for folder in (first, *first.parents):
        if all(other.is_relative_to(folder) for other in others):
            return folder
    raise ValueError("no folder holds all of them")


def relative_text(path: Path, base: Path) -> str:
    """The way from ``base`` to ``path``, both absolute, with ``..`` where it leads up; the whole
    path where one is local and the other isn't, or they lie in different stores."""
    if not isinstance(path, ObjectPath) and not isinstance(base, ObjectPath):
        return os.path.relpath(path, base)
    if not isinstance(path, ObjectPath) or not isinstance(base, ObjectPath):
        return str(path)
    if path.scheme != base.scheme:
        return str(path)
    return os.path.relpath(f"/{path.key}", f"/{base.key}")
