"""Texts given as options turned into numbers, with the option's name in the error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from fastcam.errors import InputError


def size_of(text: str | None) -> int | tuple[int, ...] | None:
    """``224`` or ``224x320`` or ``32x96x96`` as whole numbers, height before width; one for all."""
    if text is None:
        return None
    parts = re.split(r"[x×,]", text.strip().lower())
    if not all(part.isdecimal() and int(part) > 0 for part in parts) or len(parts) > 3:
        raise InputError(f"--image-size {text!r}: give N, HxW or DxHxW, as in 224 or 32x96x96")
    sizes = tuple(map(int, parts))
    return sizes[0] if len(sizes) == 1 else sizes


def numbers_of(option: str, text: str | None) -> tuple[float, ...] | None:
    """``0.5,0.5,0.5`` as numbers."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            f"--{option} {text!r}: give numbers with commas between, as in 0.485,0.456,0.406"
        ) from error


def classes_of(texts: Sequence[str] | None) -> tuple[int, ...] | Literal["label"]:
    """Class numbers of ``--target``; none for the predicted class, "label" for the table's."""
    if list(texts or ()) == ["label"]:
        return "label"
    found = []
    for text in texts or ():
        for part in text.split(","):
            if part.strip() == "predicted":
                continue
            if not part.strip().isdecimal():
                raise InputError(
                    f"--target {text!r}: give a class number, predicted, or label alone"
                )
            found.append(int(part))
    return tuple(found)
