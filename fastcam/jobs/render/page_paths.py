"""Paths of figures as patterns, since most follow from the case and the slice.

``{p}`` in a pattern is the case's place, ``{s}`` the slice, both in three digits at least, ``{k}``
the slice in as many as it has, ``{n}`` the case's name, ``{b}`` the word ``BEST_`` of the figure
that stands for a case and is its best slice, and ``{a}`` the average in four decimals, where a
browser writes it so. ``page_columns.js`` writes paths of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

_SLICE = re.compile(r"(?<![a-z])slice(\d+)")
_AVERAGE = re.compile(r"(BEST_)?avg-?\d+\.\d{4}")
_FIELD = re.compile(r"\{(.)\}")
# From here on a browser's toFixed writes 1e+21.
_NO_DECIMALS = 1e21


@dataclass(frozen=True)
class Pattern:
    """The text of a pattern, which is told from a path that is written so."""

    text: str


def case_fields(place: int, name: str) -> dict[str, str]:
    """What fields of a case stand for."""
    return {"p": str(place).rjust(3, "0"), "n": name}


def figure_fields(index: int, average: float | None, best: bool) -> dict[str, str]:
    """What fields of a figure stand for; ``average`` as the page has it."""
    fields = {"s": str(index).rjust(3, "0"), "k": str(index), "b": "BEST_" if best else ""}
    if average is not None and abs(average) < _NO_DECIMALS:
        # As a browser rounds, to which -0 is 0.
        exact = Decimal(average + 0.0).quantize(Decimal("0.0001"), ROUND_HALF_UP)
        fields["a"] = f"{exact:f}"
    return fields


def coded(path: str, fields: Mapping[str, str]) -> Pattern | str:
    """The pattern that gives ``path`` with these ``fields``; where there is none the path."""
    if not path or "{" in path:
        return path
    head = f"{fields['p']}_{fields['n']}"
    pattern = f"{{p}}_{{n}}{path[len(head) :]}" if path.startswith(head) else path
    if "s" in fields:
        field = "{s}" if f"slice{fields['s']}" in pattern else "{k}"
        pattern = _SLICE.sub(f"slice{field}", pattern, count=1)
    if "a" in fields:
        pattern = _AVERAGE.sub("{b}avg{a}", pattern, count=1)
    return Pattern(pattern) if _written(pattern, fields) == path else path


def _written(pattern: str, fields: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda match: fields[match[1]], pattern)
