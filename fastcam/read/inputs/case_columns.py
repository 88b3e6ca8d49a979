"""Columns that say something of every case, those of a table among them, to filter and sort by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fastcam.errors import InputError
from fastcam.read.inputs.id_match import match_rows, naming_column
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.tables import read_cells

ColumnKind = Literal["text", "choice", "number", "verdict"]
# Texts of which a column has no more are shown as a list to choose from.
_MOST_CHOICES = 24


@dataclass(frozen=True, kw_only=True)
class CaseColumn:
    """A column of cases.

    Attributes:
        name: what it is called.
        kind: how it is filtered.
        values: a value a case: text, a number or None; of a verdict True, False or None.
    """

    name: str
    kind: ColumnKind
    values: Sequence[Any]


def table_columns(ids: Sequence[str], path: Path, id_column: str | None) -> list[CaseColumn]:
    """The columns of a table by the cases called ``ids``, which its ``id_column`` has; None: the
    one that fits most. InputError where none of its rows fits a case."""
    table = read_cells(path)
    items = [Item(name, "", Path(name), None, "") for name in ids]
    if id_column is None:
        id_column = naming_column(items, table)
    else:
        id_column = table.column("--id-column", id_column)
    matches = match_rows(items, table, id_column, id_column)
    columns = []
    for name in table.columns:
        if name == id_column:
            continue
        cells = [
            matches.rows[index].cells[name] if index in matches.rows else ""
            for index in range(len(ids))
        ]
        columns.append(cell_column(name, cells))
    if not columns:
        raise InputError(f"{path}: has no column besides {id_column!r}; give a table with more")
    return columns


def cell_column(name: str, cells: Sequence[str]) -> CaseColumn:
    """A column by its texts: numbers where all that are filled are some."""
    numbers = [_number(cell) for cell in cells]
    filled = [number for cell, number in zip(cells, numbers, strict=True) if cell]
    if filled and all(number is not None for number in filled):
        return CaseColumn(name=name, kind="number", values=numbers)
    return CaseColumn(name=name, kind=text_kind(cells), values=cells)


def text_kind(texts: Sequence[str]) -> ColumnKind:
    """How a column of texts is filtered."""
    return "choice" if len(set(texts)) <= _MOST_CHOICES else "text"


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
