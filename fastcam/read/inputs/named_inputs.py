"""What a model with several inputs is given: images and numbers, from the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastcam.errors import InputError
from fastcam.read.inputs.tables import Row, Table
from fastcam.read.inputs.target_column import number_in
from fastcam.storage.locations import absent, under

Kind = Literal["image", "number"]
# What an input is for one row: the file of an image, a number, or why there is no number.
InputValue = Path | float | str


@dataclass(frozen=True)
class ModelInput:
    """One argument of a model's ``forward``.

    - ``name``: the argument's
    - ``column``: the column of the table that goes into it
    - ``kind``: images, preprocessed alike, or a number an image, as it stands in the table
    """

    name: str
    column: str
    kind: Kind


def parse_inputs(texts: Sequence[str]) -> dict[str, str]:
    """``--input NAME=COLUMN`` as columns by the names of arguments.

    InputError for a text without a name or a column, and for a name that is given twice.
    """
    columns: dict[str, str] = {}
    for text in texts:
        name, sign, column = (part.strip() for part in text.partition("="))
        if not (sign and name and column):
            raise InputError(f"--input {text!r}: give NAME=COLUMN, as in --input prior=old_scan")
        if name in columns:
            raise InputError(f"--input {text}: {name!r} is given twice")
        columns[name] = column
    return columns


def read_inputs(
    table: Table, base: Path, columns: Mapping[str, str]
) -> tuple[tuple[ModelInput, ...], list[tuple[InputValue, ...]]]:
    """The inputs that ``columns`` of a table name, and their values row by row.

    A column holds numbers where most cells that are not empty are such and no file is called so;
    else its cells are paths relative to ``base``. InputError for a column that doesn't exist, for
    files that are missing and cells of images that are empty, and where no input is an image.
    """
    inputs, values = [], []
    for name, text in columns.items():
        column = table.column(f"--input {name}={text}", text)
        cells = [row.cells[column] for row in table.rows]
        kind = _kind(cells, base)
        inputs.append(ModelInput(name, column, kind))
        if kind == "number":
            values.append([_number(row, column) for row in table.rows])
        else:
            values.append(_files(table, column, base, name))
    if not table.rows:
        raise InputError(f"{table.path}: names no image: it has a heading only")
    if all(entry.kind == "number" for entry in inputs):
        names = ", ".join(entry.name for entry in inputs)
        raise InputError(f"--input: {names} are numbers in {table.path}; one input must be images")
    return tuple(inputs), list(zip(*values, strict=True))


def main_image(inputs: Sequence[ModelInput]) -> int:
    """The place of the first input that is an image: the one that a row is called after."""
    return next(place for place, entry in enumerate(inputs) if entry.kind == "image")


def _kind(cells: Sequence[str], base: Path) -> Kind:
    filled = [cell for cell in cells if cell]
    numbers = [cell for cell in filled if number_in(cell) is not None]
    most = 2 * len(numbers) > len(filled)
    return "number" if most and not (base / numbers[0]).is_file() else "image"


def _number(row: Row, column: str) -> InputValue:
    cell = row.cells[column]
    value = number_in(cell)
    if value is None:
        return (
            f"row {row.number}: {column} is {repr(cell) if cell else 'empty'}, "
            "which is not a number"
        )
    return value


def _files(table: Table, column: str, base: Path, name: str) -> list[InputValue]:
    empty = next((row for row in table.rows if not row.cells[column]), None)
    if empty is not None:
        raise InputError(
            f"{table.path}: row {empty.number} has no {column}, which --input {name}={column} "
            "takes; fill it in, or leave the row out"
        )
    files = [under(base, row.cells[column]) for row in table.rows]
    missing = absent(files)
    if missing:
        raise InputError(
            f"{table.path}: {len(missing)} of {len(files)} files in column {column} are missing, "
            f"the first is {missing[0]}"
        )
    return list(files)
