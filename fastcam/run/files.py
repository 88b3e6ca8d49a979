"""Bytes to disk, all or nothing: a temporary file in the same folder, then a rename."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fastcam.errors import OutputError
from fastcam.storage.local_copy import is_running
from fastcam.storage.object_path import ObjectPath
from fastcam.storage.parallel import side_by_side

_REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space or choose another --output-dir",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another --output-dir",
    errno.EACCES: "no permission to write there; choose another --output-dir",
    errno.EPERM: "no permission to write there; choose another --output-dir",
    errno.EROFS: "the disk is read-only; choose another --output-dir",
    errno.ENOENT: "its folder doesn't exist; create it or choose another --output-dir",
    errno.ENOTDIR: "its folder is a file; choose another --output-dir",
    errno.EISDIR: "a folder of that name is in the way; remove it or choose another --output-dir",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter --output-dir or case name",
}


# How the names of half-written files begin, and those of half-written folders end.
TEMPORARY = ".tmp-"
_PARTIAL = ".part"


def write_bytes(path: Path, pieces: Iterable[bytes | memoryview], durable: bool = False) -> int:
    """Write ``pieces`` one after the other to ``path``, replacing what is there; how many bytes.

    Whoever opens ``path`` sees the old file or the whole new one, never half of it; of a
    ``durable`` one also after a power cut. The folder must exist. Raises :class:`OutputError` with
    the file and the reason; no temporary file stays. An object is put at once, or not at all.
    """
    if isinstance(path, ObjectPath):
        with output_errors(path, "written"):
            return path.write_bytes(b"".join(pieces))
    # One thread writes one file at a time, so process and thread make the name unique. The
    # name's start is for people; all of it could pass the 255 bytes that file systems allow.
    temporary = path.with_name(f"{TEMPORARY}{path.name[:40]}-{os.getpid()}-{threading.get_ident()}")
    with output_errors(path, "written"):
        try:
            # Figures without fsync: it would cost more than drawing them, and what is lost in a
            # power cut is drawn again, since its size isn't the one that the journal lists. The
            # rename alone keeps a killed process from leaving halves.
            written = _write_all(temporary, pieces, durable)
            temporary.replace(path)
            return written
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


def write_files(files: Sequence[tuple[Path, Iterable[bytes | memoryview]]]) -> Iterator[int]:
    """Write several files as :func:`write_bytes` does, objects side by side; the size of each, as
    soon as it is there."""

    def write(file: tuple[Path, Iterable[bytes | memoryview]]) -> int:
        return write_bytes(*file)

    if files and isinstance(files[0][0], ObjectPath):
        yield from side_by_side(write, files)
    else:
        yield from map(write, files)


def write_text(path: Path, text: str, durable: bool = False) -> int:
    """Write ``text`` as UTF-8 the way ``write_bytes`` does; lone surrogates become escapes."""
    return write_bytes(path, [text.encode("utf-8", errors="backslashreplace")], durable)


def sync(descriptor: int) -> None:
    """Wait until what was written to an open file is on the disk itself; OSError where the disk
    refuses it."""
    try:
        getattr(os, "fdatasync", os.fsync)(descriptor)
    except OSError as error:
        # Some file systems of user space can't; a pipe can't either.
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise


def _write_all(path: Path, pieces: Iterable[bytes | memoryview], durable: bool) -> int:
    written = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        for piece in pieces:
            left = memoryview(piece).cast("B")
            written += len(left)
            while left:
                left = left[os.write(descriptor, left) :]
        if durable:
            sync(descriptor)
    finally:
        os.close(descriptor)  # on network disks this, too, may report a full disk
    return written


@contextlib.contextmanager
def output_errors(path: Path, done: str) -> Iterator[None]:
    """Errors of the disk or the store as :class:`OutputError`: ``path`` can't be ``done``."""
    try:
        yield
    except OSError as error:
        reason = _REMEDIES.get(error.errno or 0, error.strerror or str(error))
        if isinstance(path, ObjectPath):
            reason = error.strerror or str(error)
        raise OutputError(f"{path}: can't be {done}: {reason}") from error


def make_folder(path: Path) -> None:
    """Make a folder and its parents; OutputError names it and the reason when that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = _REMEDIES.get(error.errno or 0, error.strerror or str(error))
        if isinstance(error, FileExistsError):
            reason = "a file of that name is in the way; remove it or choose another --output-dir"
        raise OutputError(f"{path}: can't be made: {reason}") from error


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder's path beside ``path``, to be made and filled, then renamed to it.

    Whoever opens ``path`` sees nothing or all of it. Raises :class:`OutputError` when something
    is there already or it can't be written; nothing half-written stays behind.
    """
    if path.exists():
        raise OutputError(f"{path}: exists already; remove it or choose another output folder")
    if isinstance(path, ObjectPath):
        with tempfile.TemporaryDirectory(prefix="fastcam-new-") as scratch:
            filled = Path(scratch) / path.name
            yield filled
            with output_errors(path, "written"):
                _put_folder(filled, path)
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        yield temporary
        temporary.rename(path)
    except OSError as error:
        raise OutputError(f"{path}: can't be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put_folder(filled: Path, path: ObjectPath) -> None:
    """Put all files of a local folder; those right in it last, by which others know that it is
    whole."""
    files = [file for file in filled.rglob("*") if file.is_file()]
    last = [file for file in files if file.parent == filled]

    def put(file: Path) -> None:
        (path / file.relative_to(filled)).write_bytes(file.read_bytes())

    side_by_side(put, [file for file in files if file not in last])
    side_by_side(put, last)


def remove_partial(path: Path) -> None:
    """Remove what :func:`new_folder` left beside ``path`` in processes that were killed."""
    if isinstance(path, ObjectPath):
        return
    for partial in path.parent.glob(f".{path.name}.*{_PARTIAL}"):
        shutil.rmtree(partial, ignore_errors=True)


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it; nothing where there is none.

    OutputError names it and the reason when that fails.
    """
    try:
        if isinstance(path, ObjectPath):
            path.remove_tree()
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: can't be removed: {error.strerror}") from error


def remove_files(paths: Sequence[Path]) -> None:
    """Remove files, those that are there, objects side by side."""

    def remove_one(path: Path) -> None:
        path.unlink(missing_ok=True)

    if paths and isinstance(paths[0], ObjectPath):
        with output_errors(paths[0].parent, "emptied"):
            side_by_side(remove_one, paths)
        return
    for path in paths:
        remove_one(path)


def remove_leftovers(folder: Path, pattern: str = "") -> None:
    """Remove the half-written files of killed processes from ``folder``, or from those of the
    folders in it that ``pattern`` names, such as ``*/`` or ``**/``.

    What a process that still runs is writing stays.
    """
    if isinstance(folder, ObjectPath):  # what is put is whole
        return
    for path in folder.glob(f"{pattern}{TEMPORARY}*-*-*"):
        _, pid, thread = path.name.rsplit("-", 2)
        if pid.isdecimal() and thread.isdecimal() and not is_running(int(pid)):
            with contextlib.suppress(OSError):
                path.unlink()
