"""``--target seg:CLASS[@REGION]``: a class of a segmentation, and the pixels that are explained."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fastcam.errors import InputError

Region = Literal["predicted", "mask", "all"] | tuple[int, ...]

_TARGET = re.compile(r"seg:(\d+)(?:@(mask|all|\d+(?:,\d+){1,2}))?")


@dataclass(frozen=True)
class SegmentTarget:
    """The sum of a class's logits over some pixels.

    - ``label``: the class
    - ``region``: "predicted", the pixels where the class is predicted; "mask", those inside the
      image's mask; "all"; or one pixel of the model's input, (x, y) or (x, y, z)
    """

    label: int
    region: Region = "predicted"

    @classmethod
    def parse(cls, text: str) -> SegmentTarget:
        """``seg:3``, ``seg:3@mask``, ``seg:3@all``, ``seg:3@x,y``, ``seg:3@x,y,z``; InputError for
        anything else."""
        match = _TARGET.fullmatch(text.strip())
        if match is None:
            raise InputError(
                f"--target {text!r}: give seg:CLASS for the pixels predicted as it, or "
                "seg:CLASS@mask, seg:CLASS@all, seg:CLASS@x,y (of volumes x,y,z)"
            )
        label, region = int(match[1]), match[2] or "predicted"
        if region in ("predicted", "mask", "all"):
            return cls(label, region)  # type: ignore[arg-type]
        return cls(label, tuple(map(int, region.split(","))))

    def __str__(self) -> str:
        if self.region == "predicted":
            return f"seg:{self.label}"
        where = self.region if isinstance(self.region, str) else ",".join(map(str, self.region))
        return f"seg:{self.label}@{where}"


def segments_in(targets: Any) -> tuple[SegmentTarget, ...]:
    """The targets ``seg:...`` among ``targets``: a text, or texts in a list or in one row of a
    list; none where there is no text among them.

    InputError for texts that aren't such targets, and where texts and other targets are mixed.
    """
    return tuple(map(SegmentTarget.parse, target_texts(targets)))


def target_texts(targets: Any) -> tuple[str, ...]:
    """The texts among ``targets``: one, or those in a list or in one row of a list.

    InputError where texts and other targets are mixed.
    """
    if isinstance(targets, str):
        return (targets,)
    if not isinstance(targets, Sequence):
        return ()
    entries = list(targets)
    if len(entries) == 1 and isinstance(entries[0], Sequence) and not isinstance(entries[0], str):
        entries = list(entries[0])
    texts = [entry for entry in entries if isinstance(entry, str)]
    if texts and len(texts) < len(entries):
        other = next(entry for entry in entries if not isinstance(entry, str))
        raise InputError(
            f"--target {other} and {texts[0]}: an output is one number for an image, a class for "
            "every pixel, or a box; give one kind"
        )
    return tuple(texts)
