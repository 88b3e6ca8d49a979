"""``--target box:WHICH``: a box that a detector returns, whose score is explained."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from fastcam.attribution.segment_target import target_texts
from fastcam.errors import InputError

# The label where there is no box.
NO_BOX = -1
_PREFIX = "box:"
_TARGET = re.compile(r"box:(?:(best|[1-9]\d*)|label:(\d+))")


@dataclass(frozen=True)
class BoxTarget:
    """The score of one box.

    - ``rank``: its place among the boxes by falling score, from 1
    - ``label``: the class of the boxes that count; None: all
    """

    rank: int = 1
    label: int | None = None

    @classmethod
    def parse(cls, text: str) -> BoxTarget:
        """``box:best``, ``box:2``, ``box:label:3``; InputError for anything else."""
        match = _TARGET.fullmatch(text.strip())
        if match is None:
            raise InputError(
                f"--target {text!r}: give box:best for the box of the highest score, box:N for "
                "the N-th by its score, counted from 1, or box:label:CLASS for the best of a class"
            )
        if match[2] is not None:
            return cls(label=int(match[2]))
        return cls(rank=1 if match[1] == "best" else int(match[1]))

    def __str__(self) -> str:
        if self.label is not None:
            return f"box:label:{self.label}"
        return "box:best" if self.rank == 1 else f"box:{self.rank}"


def boxes_in(targets: Any) -> tuple[BoxTarget, ...]:
    """The targets ``box:...`` among ``targets``: a text, or texts in a list or in one row of a
    list; none where no text is one.

    InputError for texts that aren't such targets beside one that is, or other targets.
    """
    texts = target_texts(targets)
    if not any(text.strip().startswith(_PREFIX) for text in texts):
        return ()
    return tuple(map(BoxTarget.parse, texts))
