"""Objects as files of this machine, for the time that a library reads them."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from fastcam.errors import FastcamError
from fastcam.storage.object_path import ObjectPath

_PREFIX = "fastcam-copy-"


@contextlib.contextmanager
def local_copy(path: Path) -> Iterator[Path]:
    """``path`` itself where it is local; else a copy of the object under its name, removed at the
    end of the block; errors that name the copy name the object. OSError where it can't be fetched.
    """
    if not isinstance(path, ObjectPath):
        yield path
        return
    remove_stale_copies()
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    try:
        copy = folder / (path.name or "object")
        path.fetch_to(copy)
        try:
            yield copy
        except FastcamError as error:
            if str(copy) not in str(error):
                raise
            raise type(error)(str(error).replace(str(copy), str(path))) from error.__cause__
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@cache
def remove_stale_copies() -> None:
    """Remove the copies of processes that were killed; once in a process."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdecimal() and not is_running(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def is_running(pid: int) -> bool:
    """Whether this machine has a process of that number."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
