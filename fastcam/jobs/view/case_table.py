"""The table of cases: those of all runs joined by their ids, and the columns of another table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastcam.jobs.view.run import CaseRow, ViewRun
from fastcam.read.inputs.case_columns import CaseColumn, table_columns, text_kind


@dataclass(frozen=True, kw_only=True)
class Column(CaseColumn):
    """A column of the table.

    Attributes:
        secret: whether it tells what a blind reader must not know.
    """

    secret: bool


@dataclass(frozen=True, kw_only=True)
class CaseTable:
    """The cases of a room.

    Attributes:
        ids: the name of each case, once.
        indices: for each run the number of each case in it, from 0; None where it has none.
        columns: what is known of the cases.
    """

    ids: tuple[str, ...]
    indices: tuple[tuple[int | None, ...], ...]
    columns: tuple[Column, ...]

    def facts(self, blind: bool) -> dict[str, Any]:
        """What the page needs, as plain values; ``blind``: without what tells the answer."""
        columns = [column for column in self.columns if not (blind and column.secret)]
        return {
            "ids": self.ids,
            "indices": self.indices,
            "columns": [
                {"name": column.name, "kind": column.kind, "values": column.values}
                for column in columns
            ],
        }


def case_table(
    runs: Sequence[ViewRun], table: Path | None = None, id_column: str | None = None
) -> CaseTable:
    """The table of the cases of all runs, in the order of the first, those of others after it.

    ``table`` adds its columns to the cases whose ids its column ``id_column`` has; None: the one
    that fits most. InputError where none of its rows fits a case.
    """
    numbers: list[dict[str, int]] = [
        {row.id: index for index, row in enumerate(run.cases)} for run in runs
    ]
    ids = tuple(dict.fromkeys(name for own in numbers for name in own))
    indices = tuple(tuple(own.get(name) for name in ids) for own in numbers)
    columns: list[Column] = []
    shared = [[run.cases[i] if i is not None else None for i in of_run]
              for run, of_run in zip(runs, indices, strict=True)]  # fmt: skip
    columns += _shared_columns(shared)
    for run, rows in zip(runs, shared, strict=True):
        suffix = f" · {run.name}" if len(runs) > 1 else ""
        columns += _run_columns(rows, suffix)
    if table is not None:
        columns += [
            Column(secret=True, **vars(column)) for column in table_columns(ids, table, id_column)
        ]
    return CaseTable(ids=ids, indices=indices, columns=tuple(columns))


def _shared_columns(rows: Sequence[Sequence[CaseRow | None]]) -> list[Column]:
    """What is of the case itself: the first run that knows it says it."""
    columns = []
    for name, secret in (("group", True), ("label", True)):
        texts = [
            next((getattr(row, name) for row in of_case if row and getattr(row, name)), "")
            for of_case in zip(*rows, strict=True)
        ]
        if any(texts):
            columns.append(_text_column(name, texts, secret))
    return columns


def _run_columns(rows: Sequence[CaseRow | None], suffix: str) -> list[Column]:
    columns = []
    predictions = ["" if row is None else row.prediction for row in rows]
    if any(predictions):
        columns.append(_text_column(f"prediction{suffix}", predictions, True))
    verdicts = [None if row is None else row.correct for row in rows]
    if any(verdict is not None for verdict in verdicts):
        columns.append(Column(name=f"right{suffix}", kind="verdict", secret=True, values=verdicts))
    confidences = [None if row is None else row.confidence for row in rows]
    if any(confidence is not None for confidence in confidences):
        columns.append(
            Column(name=f"confidence{suffix}", kind="number", secret=True, values=confidences)
        )
    numbers = dict.fromkeys(name for row in rows if row for name in row.numbers)
    for name in numbers:
        values = [None if row is None else row.numbers.get(name) for row in rows]
        columns.append(
            Column(name=f"{name}{suffix}", kind="number", secret=name != "patches", values=values)
        )
    reasons = ["" if row is None else row.reason for row in rows]
    if any(reasons):
        columns.append(_text_column(f"not run{suffix}", reasons, False))
    return columns


def _text_column(name: str, texts: Sequence[str], secret: bool) -> Column:
    return Column(name=name, kind=text_kind(texts), secret=secret, values=texts)


def finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values for JSON, which knows neither NaN nor infinity: None in their own."""
    return {name: _finite(value) for name, value in values.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value
