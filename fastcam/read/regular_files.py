"""Inputs that are no files: a pipe, a socket or a device is refused, not waited for; and how much
of a file lies on the disk."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from fastcam.errors import CaseError, InputError
from fastcam.storage.object_path import ObjectPath

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
# Bytes of a file that may be holes: copies of good files have some, since zeros need no disk.
_MOST_HOLES = 64 << 20
_BLOCK = 512


def irregular(path: Path) -> str:
    """What ``path``, or what it links to, is where it is not a regular file and no folder, else "".

    "" too where it isn't there or can't be asked: whoever opens it says so.
    """
    if isinstance(path, ObjectPath):
        return ""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return ""
    kind = next((name for test, name in _KINDS if test(mode)), "")
    return f"{path}: is {kind}, not a file; copy its contents into a file" if kind else ""


def read_regular(path: Path) -> bytes:
    """The bytes of a regular file. OSError, also where it is none, or little more than holes; never
    waits for a pipe."""
    if isinstance(path, ObjectPath):
        return path.read_bytes()
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        details = os.fstat(descriptor)
        if not stat.S_ISREG(details.st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        stored = _stored(descriptor, details)
        if details.st_size - stored > _MOST_HOLES:
            raise OSError(f"{path.name} is {details.st_size} bytes long and has {stored}")
        return file.read()


def stored_bytes(path: Path) -> int:
    """Bytes of a regular file that lie on the disk: all but its holes, which read as zeros."""
    if isinstance(path, ObjectPath):
        return path.stat().st_size
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return _stored(descriptor, os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _stored(descriptor: int, details: os.stat_result) -> int:
    if details.st_blocks * _BLOCK >= details.st_size:
        return details.st_size
    # Fewer blocks than bytes are also what a compressing file system says: holes are asked for.
    stored, end = 0, 0
    try:
        while end < details.st_size:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
            end = os.lseek(descriptor, start, os.SEEK_HOLE)
            stored += end - start
    except OSError as error:
        if error.errno != errno.ENXIO:  # no data behind `end`
            return details.st_size  # a file system that doesn't tell
    os.lseek(descriptor, 0, os.SEEK_SET)
    return stored


def check_regular(path: Path) -> None:
    """InputError where ``path`` is a pipe, a socket or a device."""
    if reason := irregular(path):
        raise InputError(reason)


def check_regular_case(path: Path) -> None:
    """CaseError where ``path``, a file of one case, is a pipe, a socket or a device."""
    if reason := irregular(path):
        raise CaseError(reason)


def unreadable(path: Path, error: Exception) -> CaseError:
    """The CaseError of a file that can't be read; to copy it again is no remedy where it isn't
    there, or isn't the user's to read."""
    reason = getattr(error, "strerror", None) or error
    absent = isinstance(error, FileNotFoundError | PermissionError)
    remedy = "" if absent else "; copy the file again"
    return CaseError(f"{path}: can't be read: {reason}{remedy}")
