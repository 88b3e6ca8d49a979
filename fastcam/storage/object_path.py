"""A path in a bucket, with the face of ``pathlib.Path``: what reads and writes paths takes it.

Folders are no things of their own there: one is there as long as an object lies below it. An object
is written whole or not at all, by one put.
"""

from __future__ import annotations

import errno
import fnmatch
import io
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from fastcam.errors import MissingBucketError, SilentStoreError
from fastcam.storage import listing
from fastcam.storage.kept_objects import START, kept_content, kept_start
from fastcam.storage.object_name import ObjectName
from fastcam.storage.object_state import ObjectState
from fastcam.storage.object_store import MISSING_BUCKET, ask, whole
from fastcam.storage.parallel import side_by_side

# Objects up to this size are opened in memory, larger ones as a nameless file.
_IN_MEMORY = 8 << 20


class ObjectPath(ObjectName):
    """The object, or folder of objects, ``key`` in the store of ``scheme``.

    ``key`` begins with the bucket. Objects whose key has an empty part, ``.`` or ``..`` can't be
    named. Operations raise OSError as those of ``Path`` do; where an object is looked at or read,
    :class:`MissingBucketError` if it should be there and has no bucket, and
    :class:`SilentStoreError` if the store doesn't answer.
    """

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """An :class:`ObjectState`, which has what is asked of a file's; FileNotFoundError."""
        return cast(os.stat_result, self._state())

    def tag(self) -> str:
        """The store's mark of its content (ETag); "" where it has none."""
        return self._state().tag

    def lstat(self) -> os.stat_result:
        """As :meth:`stat`."""
        return self.stat()

    def _state(self) -> ObjectState:
        try:
            with self._answering():
                return listing.existing_state(self._scheme, self._key)
        except FileNotFoundError as error:
            if error.strerror == MISSING_BUCKET:
                raise MissingBucketError(f"{self}: {MISSING_BUCKET}") from error
            raise

    def _state_if_there(self) -> ObjectState | None:
        with self._answering():
            return listing.state(self._scheme, self._key)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise SilentStoreError(f"{self}: can't be read: {error.strerror}") from error

    def _kept(self) -> bytes | None:
        return kept_content(self._scheme, self._key)

    def exists(self, **_: object) -> bool:
        """Whether there is an object of that name, or one below it."""
        return self._kept() is not None or self._state_if_there() is not None

    def is_file(self, **_: object) -> bool:
        """Whether there is an object of that name."""
        if self._kept() is not None:
            return True
        state = self._state_if_there()
        return state is not None and stat.S_ISREG(state.st_mode)

    def is_dir(self, **_: object) -> bool:
        """Whether there are objects below it."""
        if self._kept() is not None:
            return False
        state = self._state_if_there()
        return state is not None and stat.S_ISDIR(state.st_mode)

    def is_symlink(self) -> bool:
        """False."""
        return False

    def samefile(self, other_path: str | os.PathLike[str]) -> bool:
        """Whether it is the same URL."""
        return self == other_path

    def iterdir(self) -> Iterator[ObjectPath]:  # type: ignore[override]
        """As ``Path`` has it, in alphabetical order."""
        for name, _ in listing.children(self._scheme, self._key):
            yield self.at(self._key / name)

    def entries(self) -> list[ObjectEntry]:
        """What ``os.scandir`` gives of a folder, in alphabetical order."""
        return [
            ObjectEntry(self.at(self._key / name), state)
            for name, state in listing.children(self._scheme, self._key)
        ]

    def tree(self) -> list[tuple[ObjectPath, ObjectState]]:
        """All objects below a folder, with their states, in alphabetical order."""
        return [
            (self.at(self._key / relative), state)
            for relative, state in listing.tree(self._scheme, self._key)
        ]

    def tree_or_self(self) -> list[tuple[ObjectPath, ObjectState]]:
        """As :meth:`tree`; of an object only that itself."""
        state = self._state()
        return [(self, state)] if stat.S_ISREG(state.st_mode) else self.tree()

    def glob(self, pattern: str, **_: object) -> Iterator[ObjectPath]:  # type: ignore[override]
        """As ``Path`` has it; ``**`` is any number of folders."""
        wanted = tuple(part for part in pattern.split("/") if part)
        folders_only = pattern.endswith("/")
        for parts, is_folder in listing.all_parts(self._scheme, self._key):
            if (is_folder or not folders_only) and _matches(parts, wanted):
                yield self.at(self._key.joinpath(*parts))

    def rglob(self, pattern: str, **_: object) -> Iterator[ObjectPath]:  # type: ignore[override]
        """As ``Path`` has it."""
        return self.glob(f"**/{pattern}")

    # Reading and writing.

    def read_bytes(self) -> bytes:
        """The object's bytes."""
        kept = self._kept()
        if kept is not None:
            return kept
        if listing.is_unlisted(self._scheme, self._key):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        with self._answering():
            return whole(str(self))

    def read_start(self, count: int) -> bytes:
        """At most the first ``count`` bytes, without fetching more."""
        kept = self._kept()
        if kept is None:
            kept = kept_start(self._scheme, self._key)
            if kept is not None and len(kept) == START < count:
                kept = None
        if kept is not None:
            return kept[:count]
        return self.read_start_of(count) if self._state().st_size else b""

    def read_start_of(self, count: int) -> bytes:
        """As :meth:`read_start`, of an object that isn't empty: some stores refuse to give the
        start of one that is."""
        with self._answering():
            return bytes(ask(str(self), lambda fs, url: fs.cat_file(url, start=0, end=count)))

    def read_text(
        self, encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> str:
        """As ``Path`` has it."""
        with self.open("r", encoding=encoding, errors=errors, newline=newline) as file:
            return str(file.read())

    def write_bytes(self, data: Any) -> int:
        """Put the object, whole or not at all."""
        content = bytes(data)
        listing.forget(self._scheme, self._key)
        ask(str(self), lambda fs, url: fs.pipe_file(url, content))
        return len(content)

    def open(  # type: ignore[override]
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """The object's content, fetched whole, to be read; what is written is put at once."""
        if set(mode) - set("rbt"):
            raise OSError(errno.EROFS, f"can't be opened with mode {mode!r}", str(self))
        file = self._fetched()
        if "b" in mode:
            return file
        return io.TextIOWrapper(file, encoding or "utf-8", errors or "strict", newline)

    def _fetched(self) -> IO[bytes]:
        if self._kept() is not None or self._state().st_size <= _IN_MEMORY:
            return io.BytesIO(self.read_bytes())
        with tempfile.NamedTemporaryFile(prefix="fastcam-") as named:
            self.fetch_to(Path(named.name))
            return Path(named.name).open("rb")  # whose name is gone a moment later

    def fetch_to(self, file: Path) -> None:
        """Write the object's content into a local file, in pieces side by side."""
        with self._answering():
            ask(str(self), lambda fs, url: fs.get_file(url, str(file)))

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the object."""
        if not missing_ok:
            self._state()
        listing.forget(self._scheme, self._key)
        try:
            ask(str(self), lambda fs, url: fs.rm_file(url))
        except FileNotFoundError:
            if not missing_ok:
                raise

    def remove_tree(self) -> None:
        """Remove all objects below it, and the one of its name; nothing where there is none."""
        paths = [str(path) for path, _ in self.tree()]
        listing.forget(self._scheme, self._key)
        if any(sign in path for path in paths for sign in "*?["):
            # Several at once would be taken for patterns, and others removed that these match.
            side_by_side(lambda path: ask(path, lambda fs, url: fs.rm_file(url)), paths)
        elif paths:
            ask(str(self), lambda fs, _: fs.rm(paths))
        self.unlink(missing_ok=True)

    def mkdir(self, *_: object, **__: object) -> None:
        """Nothing: a folder is there with the first object in it."""


class ObjectEntry:
    """An entry of a folder of objects, with the face of ``os.DirEntry``."""

    def __init__(self, path: ObjectPath, state: ObjectState) -> None:
        self.name = path.name
        self.path = path
        self._state = state

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self._state.st_mode)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is an object."""
        return not self.is_dir()

    def is_symlink(self) -> bool:
        """False."""
        return False

    def stat(self, *, follow_symlinks: bool = True) -> ObjectState:
        """As :meth:`ObjectPath.stat`."""
        return self._state


def _matches(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_matches(parts[start:], wanted[1:]) for start in range(len(parts) + 1))
    if not parts or not fnmatch.fnmatchcase(parts[0], wanted[0]):
        return False
    return _matches(parts[1:], wanted[1:])
