"""Texts given as options turned into numbers, with the option's name in the error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fastcam.errors import InputError

if TYPE_CHECKING:
    from fastcam.models.fewshot.build import FewshotOptions


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


def fewshot_of(
    use_mab: bool, use_ocab: bool, use_drff: bool, arch: str | None, patch_size: int | None
) -> FewshotOptions | None:
    """The options of ``fewshot_vit``; None where none of them is given."""
    if not (use_mab or use_ocab or use_drff or arch or patch_size):
        return None
    from fastcam.models.fewshot.build import FewshotOptions

    return FewshotOptions(arch, patch_size, use_mab, use_ocab, use_drff)


def support_of(texts: Sequence[str] | None) -> dict[str, list[Path]]:
    """``--support``: images, or folders of them, by class; without CLASS= it is "support"."""
    found: dict[str, list[Path]] = {}
    for text in texts or ():
        name, sign, path = text.partition("=")
        if not sign or Path(text).exists():
            name, path = "support", text
        if not name.strip() or not path.strip():
            raise InputError(f"--support {text!r}: give IMAGE or CLASS=IMAGE, as in benign=a.png")
        found.setdefault(name.strip(), []).append(Path(path))
    return found
