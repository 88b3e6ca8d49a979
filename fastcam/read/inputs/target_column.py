"""The true values of a table's rows: numbers of a regression, or classes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fastcam.errors import InputError
from fastcam.read.inputs.tables import Row, Table, few

# What the target is mostly called, where no column is named.
_USUAL = ("target", "label", "class", "age", "y", "diagnosis")


@dataclass(frozen=True)
class Targets:
    """The true values of images, which are identified by their index.

    - ``values``: numbers, or class numbers from 0
    - ``errors``: why an image has no value
    - ``names``: of the classes in their order; empty where they have none
    - ``note``: where the names come from, for people
    """

    values: Mapping[int, float]
    errors: Mapping[int, str]
    names: tuple[str, ...] = ()
    note: str = ""


def target_column(table: Table, name: str | None, id_column: str | None) -> str:
    """The column of true values.

    It is the one called ``name``, else one that is called as usual, else the only one beside the
    ids. InputError that names the columns where there is none, or several.
    """
    if name is not None:
        return table.column("--target", name)
    names = {column.casefold(): column for column in table.columns}
    usual = [names[word] for word in _USUAL if word in names]
    if len(usual) == 1:
        return usual[0]
    others = [column for column in table.columns if column != id_column]
    if len(others) == 1:
        return others[0]
    raise InputError(
        f"{table.path}: which column holds the true values? give --target; it has "
        f"{few(table.columns)}"
    )


def numbers(rows: Mapping[int, Row], column: str) -> Targets:
    """Targets of a regression. A decimal comma is understood."""
    values, errors = {}, {}
    for index, row in rows.items():
        text = row.cells[column]
        value = number_in(text)
        if value is None:
            errors[index] = f"row {row.number}: {column} is {_quoted(text)}, which is not a number"
        else:
            values[index] = value
    return Targets(values, errors)


def classes(
    rows: Mapping[int, Row],
    column: str,
    count: int,
    names: Sequence[str] = (),
    table_rows: Sequence[Row] = (),
) -> Targets:
    """Targets of a classification with ``count`` classes: their numbers from 0, or their names.

    ``names`` are in the order of the model's outputs; the column holds them, or numbers of the
    classes that are called so. Without them, names are taken in sorted
    order, as ``ImageFolder`` does, where there are as many as the model has classes. ``table_rows``
    are all rows of the table, of which ``rows`` may be some. InputError where names are another
    number than classes, and where most numbers are no class's.
    """
    texts = {index: row.cells[column] for index, row in rows.items()}
    if names:
        if len(names) != count:
            raise InputError(
                f"--class-names gives {len(names)} names, but the model has {count} classes"
            )
        if not _all_numbers(texts.values(), count) or any(text in names for text in texts.values()):
            return _by_name(rows, column, texts, tuple(names), "")
    parsed = {index: number_in(text) for index, text in texts.items()}
    filled = [index for index, text in texts.items() if text]
    if not any(parsed[index] is not None for index in filled):
        own = tuple(sorted({texts[index] for index in filled}))
        if len(own) == count:
            note = f"classes in sorted order: {', '.join(own)}; or give --class-names"
            return _by_name(rows, column, texts, own, note)
        in_table = len({row.cells[column] for row in table_rows} - {""})
        where = ""
        if in_table > len(own):
            where = " in the rows of the images that were found, which alone count, and "
            where += f"{in_table} in all its rows"
        raise InputError(
            f"column {column!r} holds names of {len(own)} class{'es' * (len(own) != 1)} "
            f"({', '.join(own[:5])}){where}; the model has {count}: give --class-names A,B,... in "
            "the order of its outputs"
        )
    values, errors = {}, {}
    for index, row in rows.items():
        number = parsed[index]
        if number is None or not number.is_integer() or not 0 <= number < count:
            errors[index] = (
                f"row {row.number}: {column} is {_quoted(texts[index])}, which is not a class "
                f"number from 0 to {count - 1}"
            )
        else:
            values[index] = number
    others = [index for index in errors if parsed[index] is not None]
    if len(others) > len(values):
        raise InputError(
            f"{errors[others[0]]}, and so in {len(others)} of {len(rows)} rows; the model has "
            f"{count} outputs: for numbers give one with a single output"
        )
    return Targets(values, errors, tuple(names))


def _all_numbers(texts: Iterable[str], count: int) -> bool:
    """Whether all cells that aren't empty hold numbers of ``count`` classes."""
    parsed = [number_in(text) for text in texts if text]
    return bool(parsed) and all(n is not None and n in range(count) for n in parsed)


def _by_name(
    rows: Mapping[int, Row],
    column: str,
    texts: Mapping[int, str],
    names: tuple[str, ...],
    note: str,
) -> Targets:
    number_of = {name: float(number) for number, name in enumerate(names)}
    values = {index: number_of[text] for index, text in texts.items() if text in number_of}
    errors = {
        index: f"row {rows[index].number}: {column} is {_quoted(text)}, which is none of the "
        f"classes {', '.join(names[:5])}"
        for index, text in texts.items()
        if text not in number_of
    }
    return Targets(values, errors, names, note)


def number_in(text: str) -> float | None:
    """The finite number that a cell holds, also with a decimal comma; None for any other text."""
    if re.fullmatch(r"[+-]?\d+,\d+", text):
        text = text.replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _quoted(text: str) -> str:
    return repr(text) if text else "empty"
