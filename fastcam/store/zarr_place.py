"""Where Zarr finds a group or an array: a folder, or its own store over a bucket."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fastcam.storage.object_path import ObjectPath

if TYPE_CHECKING:
    from zarr.storage import FsspecStore


def zarr_place(path: Path) -> Path | FsspecStore:
    """What Zarr's functions take as the store of ``path``."""
    if not isinstance(path, ObjectPath):
        return path
    from zarr.storage import FsspecStore

    return FsspecStore.from_url(str(path), storage_options={"use_listings_cache": False})
