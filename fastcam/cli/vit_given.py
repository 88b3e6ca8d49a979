"""``--layers`` and ``--query`` of ``fastcam vit`` turned into numbers."""

from __future__ import annotations

import re

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
