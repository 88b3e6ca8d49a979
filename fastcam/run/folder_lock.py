"""The lock of an output folder: one run at a time, and none that outlives its run."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from fastcam.errors import InputError
from fastcam.run.files import make_folder
from fastcam.storage.object_path import ObjectPath

# Descriptors that hold locks. A lock belongs to all processes that share a descriptor, so those
# that this one forks close theirs: readers of a run that was killed would hold it else.
_descriptors: set[int] = set()


def _close_all() -> None:
    for descriptor in _descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _descriptors.clear()


os.register_at_fork(after_in_child=_close_all)


class FolderLock:
    """A lock of ``folder`` against other runs, held on the file or folder ``path`` until
    :meth:`release`.

    Raises :class:`InputError` when another run holds it, and OSError where ``path`` can't be
    opened.

    Attributes:
        effective: whether there are locks at all; some network file systems have none, and
            buckets have none: then two runs are the user's care.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self._folder = folder
        self.effective = not isinstance(path, ObjectPath)
        if not self.effective:
            self._descriptor = -1
            return
        self._descriptor = self._acquire(path)
        while self.effective and not os.path.samestat(os.fstat(self._descriptor), path.stat()):
            # It was replaced between opening and locking.
            self.release()
            self._descriptor = self._acquire(path)

    def _acquire(self, path: Path) -> int:
        # Over NFS only files that are open for writing are locked.
        mode = os.O_RDONLY if path.is_dir() else os.O_RDWR
        descriptor = os.open(path, mode | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise InputError(
                f"{self._folder}: another fastcam run is writing into this folder; wait for it or "
                "give another --output-dir"
            ) from error
        except OSError:
            self.effective = False
        _descriptors.add(descriptor)
        return descriptor

    def replace(self, temporary: Path, path: Path) -> None:
        """Rename ``temporary`` to ``path``, the locked file, with the lock held on either."""
        descriptor = self._acquire(temporary)
        try:
            temporary.replace(path)
        except BaseException:
            _descriptors.discard(descriptor)
            os.close(descriptor)
            raise
        self.release()
        self._descriptor = descriptor

    def release(self) -> None:
        """Unlock; a second time nothing happens."""
        if self._descriptor in _descriptors:
            _descriptors.discard(self._descriptor)
            os.close(self._descriptor)
        self._descriptor = -1


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Lock a folder, which is made if it isn't there, against other runs.

    Raises :class:`InputError` when another run holds it, :class:`OutputError` when it can't be
    made.
    """
    make_folder(folder)
    lock = FolderLock(folder, folder)
    try:
        yield
    finally:
        lock.release()
