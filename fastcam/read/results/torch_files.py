"""Files of ``torch.save``, weights only, whatever they nest."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

from fastcam.read.results.deep_stack import call_deep
from fastcam.read.results.pickle_scan import MOST_STACK, STACK


def load_torch(
    path: Path, mmap: bool = False, convert: Callable[[object], object] | None = None
) -> object:
    """What ``torch.load(weights_only=True)`` makes of a file, on the CPU, or raises; ``convert``ed.

    Its keys may be tuples in tuples in tuples ...: hashing them, then or in ``convert``, would
    overflow the stack of a thread, and end the process.
    """
    import torch

    def load() -> object:
        loaded: object = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
        return loaded if convert is None else convert(loaded)

    return call_deep(load, min(STACK * _most_tuples(path), MOST_STACK))


def _most_tuples(path: Path) -> int:
    """No fewer than the opcodes of the file that make tuples: a byte each of its pickle."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = [i.file_size for i in archive.infolist() if i.filename.endswith(".pkl")]
        return max(sizes, default=0)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return path.stat().st_size if path.is_file() else 0
