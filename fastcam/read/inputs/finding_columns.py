"""The true values of a table's rows where each has many: a column a finding, or a list in one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastcam.errors import InputError
from fastcam.read.inputs.tables import Row, Table, few
from fastcam.read.inputs.target_column import number_in

_WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0, "nan": math.nan, "none": math.nan}
_SEPARATORS = re.compile(r"\s*[|;,]\s*")
# CheXpert's value for what a report leaves open (Irvin et al. 2019).
_UNCERTAIN = -1.0


@dataclass(frozen=True)
class FindingTargets:
    """The true values of images, which are identified by their index.

    - ``names``: of the findings, in the order of the model's outputs
    - ``values``: 1 present, 0 absent, NaN unknown or uncertain, one for each finding
    - ``errors``: why an image has no values
    - ``uncertain``: by finding how many images have -1
    """

    names: tuple[str, ...]
    values: Mapping[int, tuple[float, ...]]
    errors: Mapping[int, str]
    uncertain: Mapping[str, int]

    @property
    def texts(self) -> dict[int, str]:
        """By image its values as one text, ``1,0,,1``, with nothing for what is unknown."""
        return {index: label_text(values) for index, values in self.values.items()}


def label_text(values: Sequence[float]) -> str:
    """Values of findings as one text."""
    return ",".join("" if math.isnan(value) else str(int(value)) for value in values)


def label_values(text: str) -> tuple[float, ...]:
    """What :func:`label_text` gave."""
    return tuple(float(part) if part else math.nan for part in text.split(","))


def finding_columns(
    table: Table, target: str | None, names: Sequence[str], id_column: str | None, count: int
) -> tuple[str, ...]:
    """The columns of the ``count`` findings: those of ``target`` (with commas between), else those
    called ``names``, else all whose cells are 0, 1, -1 or empty.

    One column that holds lists is the only one of the result. InputError where they are another
    number than the model's outputs.
    """
    if target is not None:
        parts = [part.strip() for part in target.split(",") if part.strip()]
        columns = tuple(table.column("--target", part) for part in parts)
        if len(columns) == 1 and count > 1 and not _is_finding(table, columns[0]):
            return columns
    elif names and all(name in table.columns for name in names):
        columns = tuple(names)
    else:
        columns = tuple(
            name for name in table.columns if name != id_column and _is_finding(table, name)
        )
    if len(columns) != count:
        raise InputError(
            f"{table.path}: the model has {count} outputs, and {len(columns)} columns are findings "
            f"({few(columns) or 'none'}): name them in the order of the outputs, "
            "--target A,B,C, or the one column of lists, --target COLUMN --class-names A,B,C"
        )
    return columns


def finding_targets(
    rows: Mapping[int, Row], columns: Sequence[str], names: Sequence[str], count: int
) -> FindingTargets:
    """The values of ``columns``, or of the lists in the only one.

    A list has the names of what is present, with ``|``, ``;`` or commas between, or nothing; or a
    value for each finding, ``[1, 0, , -1]``. Its findings are ``names``. InputError where these are
    another number than ``count``.
    """
    if len(columns) == 1 and count > 1:
        if len(names) != count:
            raise InputError(
                f"--class-names gives {len(names)} names, and the model has {count} outputs: "
                f"column {columns[0]!r} holds lists, whose findings must be named in the order of "
                "these"
            )
        return _lists(rows, columns[0], tuple(names))
    values: dict[int, tuple[float, ...]] = {}
    errors: dict[int, str] = {}
    uncertain: dict[str, int] = {}
    for index, row in rows.items():
        parsed = {column: _value(row.cells[column]) for column in columns}
        wrong = next((column for column, value in parsed.items() if value is None), None)
        if wrong is not None:
            errors[index] = (
                f"row {row.number}: {wrong} is {row.cells[wrong]!r}, which is none of 1, 0, -1 and "
                "empty"
            )
            continue
        known = {name: value for name, value in parsed.items() if value is not None}
        _keep(index, row, known, (values, errors, uncertain))
    names_of_findings = tuple(names) if len(names) == len(columns) else tuple(columns)
    return FindingTargets(names_of_findings, values, errors, uncertain)


def _lists(rows: Mapping[int, Row], column: str, names: tuple[str, ...]) -> FindingTargets:
    values: dict[int, tuple[float, ...]] = {}
    errors: dict[int, str] = {}
    uncertain: dict[str, int] = {}
    for index, row in rows.items():
        text = row.cells[column].strip().strip("[]()")
        numbers = _numbers(text, names)
        if numbers is not None and len(numbers) != len(names):
            errors[index] = (
                f"row {row.number}: {column} has {len(numbers)} values, and there are "
                f"{len(names)} findings"
            )
            continue
        if numbers is not None:
            _keep(index, row, dict(zip(names, numbers, strict=True)), (values, errors, uncertain))
            continue
        parts = [part.strip("'\" ") for part in _SEPARATORS.split(text) if part.strip("'\" ")]
        other = next((part for part in parts if part not in names), None)
        if other is not None and other.casefold() not in ("none", "no finding"):
            errors[index] = (
                f"row {row.number}: {column} has {other!r}, which is none of the findings "
                f"{few(names)}"
            )
            continue
        values[index] = tuple(float(name in parts) for name in names)
    return FindingTargets(names, values, errors, uncertain)


def _numbers(text: str, names: Sequence[str]) -> list[float] | None:
    """The values that a list of numbers has; None for one of names, or of nothing."""
    parts = [part.strip("'\" ") for part in _SEPARATORS.split(text.strip())]
    found = [_value(part) for part in parts]
    known = [value for value in found if value is not None]
    if len(known) < len(found) or any(part in names for part in parts):
        return None
    # "none" says that nothing is present; nothing between separators says nothing.
    if not any(parts) or (len(parts) == 1 and math.isnan(known[0])):
        return None
    return known


def _keep(
    index: int,
    row: Row,
    parsed: Mapping[str, float],
    found: tuple[dict[int, tuple[float, ...]], dict[int, str], dict[str, int]],
) -> None:
    """Keep the values of a row among those ``found``: values, errors, and how many are -1."""
    values, errors, uncertain = found
    for name, value in parsed.items():
        if value == _UNCERTAIN:
            uncertain[name] = uncertain.get(name, 0) + 1
    labels = tuple(math.nan if value == _UNCERTAIN else value for value in parsed.values())
    if all(map(math.isnan, labels)):
        errors[index] = f"row {row.number}: none of its findings is known"
    else:
        values[index] = labels


def _is_finding(table: Table, column: str) -> bool:
    values = [_value(row.cells[column]) for row in table.rows]
    filled = any(value is not None and not math.isnan(value) for value in values)
    return filled and None not in values


def _value(text: str) -> float | None:
    """1, 0, -1, or NaN for nothing; None for what is none of these."""
    if not text.strip():
        return math.nan
    word = _WORDS.get(text.strip().casefold())
    value = number_in(text) if word is None else word
    if value is None or (not math.isnan(value) and value not in (0.0, 1.0, _UNCERTAIN)):
        return None
    return value
