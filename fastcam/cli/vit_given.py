"""``--layers`` and ``--query`` of ``fastcam vit`` as numbers, and what its models are called."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from fastcam.errors import InputError


def layers_of(text: str | None) -> tuple[int, ...] | None:
    """``0,3,6,11`` as whole numbers; negative ones count from the end."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"-?\d+", part) for part in parts):
        raise InputError(
            f"--layers {text!r}: give numbers of layers with commas between, as in 0,3,6,11"
        )
    return tuple(map(int, parts))


def query_of(text: str | None) -> int | tuple[int, int] | None:
    """``120,64`` as a pixel (x, y), ``87`` as a patch's number."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 2 or not all(re.fullmatch(r"-?\d+", part) for part in parts):
        raise InputError(
            f"--query {text!r}: give a pixel X,Y of the image, or a patch's number, as in 120,64 "
            "or 87"
        )
    numbers = tuple(map(int, parts))
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def labels_of(checkpoint: Path | None, compare: Path | None) -> tuple[str, str]:
    """What two models are called: their files, with as much of the path as tells them apart."""
    if checkpoint is None or compare is None:
        first, second = (path.stem if path else "" for path in (checkpoint, compare))
        return first or "random weights", second
    calls: tuple[Callable[[Path], str], ...] = (
        lambda path: path.stem,
        lambda path: path.name,
        lambda path: f"{path.parent.name}/{path.stem}",
        str,
    )
    pairs = [(call(checkpoint), call(compare)) for call in calls]
    return next((pair for pair in pairs if pair[0] != pair[1]), pairs[0])
