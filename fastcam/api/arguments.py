"""Arguments of the public functions as the jobs take them, and the checks that these share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fastcam.errors import InputError
from fastcam.options import PathLike, parse_window
from fastcam.storage.locations import as_path


def optional_path(path: PathLike | None) -> Path | None:
    """A path, or None where there is none."""
    return None if path is None else as_path(path)


def path_list(paths: PathLike | Sequence[PathLike]) -> tuple[Path, ...]:
    """One path or several, as several."""
    return (as_path(paths),) if isinstance(paths, str | os.PathLike) else tuple(map(as_path, paths))


def name_list(names: str | int | Sequence[str | int] | None) -> tuple[str, ...]:
    """One name or number, several, or None for none, as the command line gives them."""
    return (str(names),) if isinstance(names, str | int) else tuple(map(str, names or ()))


def volume_text(volume: str | int | None) -> str | None:
    """The number or name of a volume as the command line gives it."""
    return None if volume is None else str(volume)


def window_pair(option: str, window: str | Sequence[float] | None) -> tuple[float, float] | None:
    """A window's name, or its (center, width), as the latter; InputError for what is no window."""
    if window is None or isinstance(window, str):
        return parse_window(option, window)
    return parse_window(option, ",".join(map(str, window)))


def output_name(output: str | int | None) -> str:
    """Which tensor is the model's answer, by name; empty where it is to be found."""
    return "" if output is None else str(output)


def check_at_least(option: str, value: float | None, minimum: float) -> None:
    """InputError where the value of ``--option``, if there is one, is below ``minimum``."""
    if value is not None and value < minimum:
        raise InputError(f"--{option} {value} is too small: it must be at least {minimum}")
