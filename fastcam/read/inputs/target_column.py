"""The true values of a table's rows: numbers of a regression, or classes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastcam.errors import InputError
from fastcam.read.inputs.tables import Row, Table

# What the target is mostly called, where nobody says it.
_USUAL = ("target", "label", "class", "age", "y", "diagnosis")


@dataclass(frozen=True)
class Targets:
    """``values`` by the image's place: numbers, or class numbers from 0. ``wrong`` by place: why
    an image has none. ``names`` of the classes in their order, empty where they are numbers;
    ``note`` says how they were found."""

    values: Mapping[int, float]
    wrong: Mapping[int, str]
    names: tuple[str, ...] = ()
    note: str = ""


def target_column(table: Table, wanted: str | None, id_column: str | None) -> str:
    """The column of true values: the one that is ``wanted``, or one that is called as usual, or
    the only one beside the ids. InputError that names the columns."""
    if wanted is not None:
        return table.column("--target", wanted)
    named = {name.casefold(): name for name in table.columns}
    usual = [named[name] for name in _USUAL if name in named]
    if len(usual) == 1:
        return usual[0]
    others = [name for name in table.columns if name != id_column]
    if len(others) == 1:
        return others[0]
    raise InputError(
        f"{table.path}: which column holds the true values? give --target; it has "
        f"{', '.join(table.columns) or 'none'}"
    )


def numbers(rows: Mapping[int, Row], column: str) -> Targets:
    """Targets of a regression. A decimal comma is understood."""
    values, wrong = {}, {}
    for place, row in rows.items():
        text = row.cells[column]
        found = _number(text)
        if found is None:
            wrong[place] = f"row {row.number}: {column} is {_said(text)}, which is no number"
        else:
            values[place] = found
    return Targets(values, wrong)


def classes(rows: Mapping[int, Row], column: str, count: int, names: Sequence[str] = ()) -> Targets:
    """Targets of a classification with ``count`` classes: their numbers from 0, or their names.

    ``names`` are in the order of the model's outputs. Without them, names are taken in sorted
    order, as ``ImageFolder`` does, where there are as many as the model has classes. InputError
    where names are another number than classes, and where most numbers are no class's.
    """
    texts = {place: row.cells[column] for place, row in rows.items()}
    if names:
        if len(names) != count:
            raise InputError(
                f"--class-names gives {len(names)} names, but the model has {count} classes"
            )
        return _named(rows, column, texts, tuple(names), "")
    plain = {place: _number(text) for place, text in texts.items()}
    filled = [place for place, text in texts.items() if text]
    if not any(plain[place] is not None for place in filled):
        found = tuple(sorted({texts[place] for place in filled}))
        if len(found) == count:
            note = f"classes in sorted order: {', '.join(found)}; or give --class-names"
            return _named(rows, column, texts, found, note)
        raise InputError(
            f"column {column!r} holds names of {len(found)} classes ({', '.join(found[:5])}), and "
            f"the model has {count}: give --class-names A,B,... in the order of its outputs"
        )
    values, wrong = {}, {}
    for place, row in rows.items():
        number = plain[place]
        if number is None or not number.is_integer() or not 0 <= number < count:
            wrong[place] = (
                f"row {row.number}: {column} is {_said(texts[place])}, which is no class number "
                f"from 0 to {count - 1}"
            )
        else:
            values[place] = number
    others = [at for at in wrong if plain[at] is not None]
    if len(others) > len(values):
        raise InputError(
            f"{wrong[others[0]]}, and so in {len(others)} of {len(rows)} rows; the model has "
            f"{count} outputs: for numbers give one with a single output"
        )
    return Targets(values, wrong)


def _named(
    rows: Mapping[int, Row],
    column: str,
    texts: Mapping[int, str],
    names: tuple[str, ...],
    note: str,
) -> Targets:
    place_of = {name: place for place, name in enumerate(names)}
    values = {at: float(place_of[text]) for at, text in texts.items() if text in place_of}
    wrong = {
        at: f"row {rows[at].number}: {column} is {_said(text)}, which is none of the classes "
        f"{', '.join(names[:5])}"
        for at, text in texts.items()
        if text not in place_of
    }
    return Targets(values, wrong, names, note)


def _number(text: str) -> float | None:
    if re.fullmatch(r"[+-]?\d+,\d+", text):
        text = text.replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _said(text: str) -> str:
    return repr(text) if text else "empty"
