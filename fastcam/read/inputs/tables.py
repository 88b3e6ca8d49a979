"""Tables as text cells: CSV, Excel and OpenDocument (python-calamine), Parquet (pyarrow)."""

from __future__ import annotations

import csv
import datetime
import difflib
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastcam.errors import InputError

SHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
PARQUET = (".parquet", ".pq")
TEXTS = (".csv", ".tsv", ".txt", "")


@dataclass(frozen=True)
class Row:
    """A row of a table.

    - ``number``: the one that a spreadsheet or editor shows for it
    - ``cells``: text by the name of the column
    """

    number: int
    cells: dict[str, str]


@dataclass(frozen=True)
class Table:
    """A table as text.

    - ``path``: its file
    - ``columns``: as the first row spells them, without those that have no name
    - ``rows``: those that aren't empty. Cells are stripped; whole numbers have no decimals, and
      what is missing is "".
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def column(self, option: str, text: str) -> str:
        """The column called ``text``, also in other letter case.

        InputError, which names ``option``, the columns and the nearest of them, where there is no
        such column.
        """
        alike = [name for name in self.columns if name.casefold() == text.strip().casefold()]
        if text in self.columns:
            return text
        if len(alike) == 1:
            return alike[0]
        folded = {name.casefold(): name for name in self.columns}
        near = difflib.get_close_matches(text.casefold(), folded, n=1, cutoff=0.6)
        hint = f"; did you mean {folded[near[0]]!r}?" if near else ""
        columns = ", ".join(self.columns) or "none"
        raise InputError(f"{self.path}: has no column {text!r} ({option}); it has {columns}{hint}")


def read_cells(path: Path) -> Table:
    """The table in a file, by its suffix; of a workbook the first sheet that isn't empty.

    InputError where it can't be read, is of no known kind, has no heading, or two columns of one
    name.
    """
    suffix = path.suffix.lower()
    if suffix in SHEETS:
        lines = _of_workbook(path)
    elif suffix in PARQUET:
        lines = _of_parquet(path)
    elif suffix in TEXTS:
        lines = _of_text(path)
    else:
        known = ", ".join((*TEXTS[:-1], *SHEETS, *PARQUET))
        raise InputError(f"{path}: is no table: fastcam reads {known}")
    return _table(path, lines)


def read_text(path: Path) -> str:
    """A UTF-8 file, with or without a byte order mark. InputError where it isn't one."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text: {error}; save it as UTF-8") from error


Lines = Iterable[tuple[int, Sequence[str]]]


def _table(path: Path, lines: Lines) -> Table:
    filled = ((number, cells) for number, cells in lines if any(cells))
    _, heading = next(iter(filled), (0, ()))
    columns = tuple(name for name in heading if name)
    repeated = next((name for name in columns if columns.count(name) > 1), None)
    if repeated is not None:
        raise InputError(f"{path}: has two columns called {repeated!r}; rename one")
    rows = []
    for number, cells in filled:
        padded = [*cells, *[""] * (len(heading) - len(cells))]
        row = {name: cell for name, cell in zip(heading, padded, strict=False) if name}
        if any(row.values()):
            rows.append(Row(number, row))
    return Table(path, columns, tuple(rows))


def _of_text(path: Path) -> Lines:
    """Columns are parted by commas, semicolons or tabs, whichever the first line has most of."""
    text = read_text(path)
    heading = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise InputError(f"{path}: is no table of comma-separated values: {error}") from error


def _of_workbook(path: Path) -> Lines:
    _check_file(path)
    # Imported here: most runs have no table.
    from python_calamine import CalamineError, PasswordError, load_workbook

    try:
        with load_workbook(path) as book:
            for name in book.sheet_names:
                sheet = book.get_sheet_by_name(name)
                # Without skipping, rows have the numbers that the spreadsheet shows.
                values = sheet.to_python(skip_empty_area=False)
                lines = [(n, [cell_text(c) for c in row]) for n, row in enumerate(values, 1)]
                if any(any(cells) for _, cells in lines):
                    return lines
    except PasswordError as error:
        raise InputError(f"{path}: is locked by a password; save it without one") from error
    except (CalamineError, OSError, ValueError) as error:
        raise InputError(f"{path}: is no workbook that can be read: {error}") from error
    return []


def _of_parquet(path: Path) -> Lines:
    _check_file(path)
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise InputError(
            f"{path}: Parquet needs pyarrow: pip install 'fastcam[parquet]', or save the table as "
            "CSV or Excel"
        ) from error
    try:
        table = parquet.read_table(path)
        columns = {name: table[name].to_pylist() for name in table.column_names}
    except (ArrowException, OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"{path}: is no Parquet file that can be read: {first}") from error
    values = [[cell_text(cell) for cell in row] for row in zip(*columns.values(), strict=True)]
    return list(enumerate([[name.strip() for name in columns], *values], 1))


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path}: does not exist")


def cell_text(value: Any) -> str:
    """A cell as text: whole numbers without decimals, dates in ISO 8601, "" for what is missing.

    >>> cell_text(7.0), cell_text(7.25), cell_text(" a "), cell_text(None), cell_text(True)
    ('7', '7.25', 'a', '', '1')
    """
    texts: dict[type, Callable[[Any], str]] = {
        bool: lambda v: str(int(v)),
        float: lambda v: str(int(v)) if v.is_integer() and abs(v) < 2**53 else repr(v),
        datetime.datetime: lambda v: str(v.isoformat()),
        datetime.date: lambda v: str(v.isoformat()),
    }
    if value is None or (isinstance(value, float) and value != value):
        return ""
    return texts.get(type(value), lambda v: str(v).strip())(value)
