"""Paths and the like, as the public functions take them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fastcam.options import PathLike


def optional_path(path: PathLike | None) -> Path | None:
    """A path, or None where there is none."""
    return None if path is None else Path(path)


def volume_text(volume: str | int | None) -> str | None:
    """The number or name of a volume as the command line gives it."""
    return None if volume is None else str(volume)


def path_list(paths: PathLike | Sequence[PathLike]) -> tuple[Path, ...]:
    """One path or several, as several."""
    return (Path(paths),) if isinstance(paths, str | os.PathLike) else tuple(map(Path, paths))
