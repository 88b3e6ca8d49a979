"""TODO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fastcam.errors import InputError
from fastcam.options import Style
from fastcam.read.inputs.inputs import Item, stem_of


@dataclass(frozen=True)
class Explain:
    """Which images are drawn besides the best and the worst: ``every`` one, all ``errors`` (above
    mean + 2 SD, or predicted wrong), the ``worst`` so many, and those of these ``ids``."""

    every: bool = False
    errors: bool = False
    worst: int = 0
    ids: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.every or self.errors or self.worst or self.ids)


@dataclass(frozen=True)
class EvaluateOptions:
    """What is made of the results. ``classes``: how many there are, 0 for a regression."""

    group_width: float = 10.0
    classes: int = 0
    explain: Explain = field(default_factory=Explain)
    style: Style = field(default_factory=Style)
    workers: int = 1
    faithfulness: int = 0


def explain_of(texts: Sequence[str], items: Sequence[Item]) -> Explain:
    """``--explain`` as it is written: all, errors, a number, ids or file names.

    InputError for a name that is no image's, or several images'.
    """
    found = Explain()
    for text in texts:
        if text == "all":
            found = replace(found, every=True)
        elif text == "errors":
            found = replace(found, errors=True)
        elif text.isdecimal():
            found = replace(found, worst=max(found.worst, int(text)))
        else:
            named = [i.id for i in items if text in (i.id, i.source.name, stem_of(i.source.name))]
            if len(named) != 1:
                known = "several images are" if named else "no image that is evaluated is"
                raise InputError(
                    f"--explain {text!r}: {known} called so; give all, errors, a number, or an id "
                    f"such as {items[0].id}"
                )
            found = replace(found, ids=(*found.ids, *named))
    return found
