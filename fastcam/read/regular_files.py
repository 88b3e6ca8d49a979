"""Inputs that are no files: a pipe, a socket or a device is refused, not waited for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from fastcam.errors import CaseError, InputError

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def irregular(path: Path) -> str:
    """What ``path``, or what it links to, is where it is not a regular file and no folder, else "".

    "" too where it isn't there or can't be asked: whoever opens it says so.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return ""
    kind = next((name for test, name in _KINDS if test(mode)), "")
    return f"{path}: is {kind}, not a file; copy its contents into a file" if kind else ""


def read_regular(path: Path) -> bytes:
    """The bytes of a regular file. OSError, also where it is none; never waits for a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        return file.read()


def check_regular(path: Path) -> None:
    """InputError where ``path`` is a pipe, a socket or a device."""
    if reason := irregular(path):
        raise InputError(reason)


def check_regular_case(path: Path) -> None:
    """CaseError where ``path``, a file of one case, is a pipe, a socket or a device."""
    if reason := irregular(path):
        raise CaseError(reason)
