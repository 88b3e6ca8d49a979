"""Where Zarr finds a group or an array: a folder, or its own store over a bucket."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fastcam.storage.object_path import ObjectPath
from fastcam.storage.object_store import file_system

if TYPE_CHECKING:
    from zarr.storage import FsspecStore


def zarr_place(path: Path) -> Path | FsspecStore:
    """What Zarr's functions take as the store of ``path``."""
    if not isinstance(path, ObjectPath):
        return path
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
    from zarr.storage import FsspecStore

    # The connections that all else uses: adlfs prints a traceback for Zarr's own at the end.
    fs = AsyncFileSystemWrapper(file_system(path.scheme), asynchronous=True)
    return FsspecStore(fs, path=fs._strip_protocol(str(path)))
