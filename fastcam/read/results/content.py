"""What a file is by its first bytes, whatever its name says. Nothing in it is run."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

from fastcam.errors import InputError

Kind = Literal["safetensors", "torch", "pickle", ""]

# Real headers of safetensors are below a megabyte; their own reader stops at 100 MB.
MOST_HEADER = 100_000_000
_ZIP = b"PK\x03\x04"
# torch.save() before 1.6, and since then on request, begins with a pickle of this number alone.
_TORCH_NUMBER = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_HEAD = 64


def kind_of(path: Path) -> Kind:
    """``safetensors``, ``torch`` (what ``torch.save`` wrote, in either of its forms), ``pickle``
    (any other), or nothing of these. InputError where the file can't be read."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        size = path.stat().st_size
        if head.startswith(_ZIP):
            return "torch" if _has_pickle(path) else ""
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    if _TORCH_NUMBER in head:
        return "torch"
    length = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and 2 <= length <= min(MOST_HEADER, size - 8):
        return "safetensors"
    # PROTO, which every pickle since protocol 2 begins with.
    return "pickle" if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5") else ""


def _has_pickle(path: Path) -> bool:
    """Whether a zip file holds ``<folder>/data.pkl``, as those of ``torch.save`` do."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.rpartition("/")[2] == "data.pkl" for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return False
