"""Tables as text cells: CSV, Excel and OpenDocument (python-calamine), Parquet (pyarrow)."""

from __future__ import annotations

import csv
import difflib
import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastcam.errors import InputError
from fastcam.read.archive_limits import excess
from fastcam.read.inputs.table_cells import PARQUET, LibraryError, TableError, read_apart
from fastcam.read.regular_files import check_regular
from fastcam.storage.local_copy import local_copy

SHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
TEXTS = (".csv", ".tsv", ".txt", "")
# Bytes that a workbook may unpack to, at least and for each byte of the file.
_LEAST, _PER_BYTE = 32 << 20, 200
# Columns that messages name.
_LISTED = 8


def few(columns: Sequence[str]) -> str:
    """The first columns for a message, and how many more there are.

    >>> few([]), few(["a", "b"])
    ('none', 'a, b')
    """
    listed = ", ".join(f"{name:.80}" for name in columns[:_LISTED]) or "none"
    more = len(columns) - _LISTED
    return f"{listed} and {more} more" if more > 0 else listed


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
        raise InputError(
            f"{self.path}: has no column {text!r} ({option}); it has {few(self.columns)}{hint}"
        )


def read_cells(path: Path) -> Table:
    """The table in a file, by its suffix; of a workbook the first sheet that isn't empty.

    InputError where it can't be read, is of no known kind, has no heading, or two columns of one
    name.
    """
    suffix = path.suffix.lower()
    if suffix in (*SHEETS, *PARQUET):
        lines = _of_reader(path)
    elif suffix in TEXTS:
        lines = _of_text(path)
    else:
        suffixes = ", ".join((*TEXTS[:-1], *SHEETS, *PARQUET))
        raise InputError(f"{path}: is not a table: fastcam reads {suffixes}")
    return _table(path, lines)


def read_text(path: Path) -> str:
    """A UTF-8 file, with or without a byte order mark. InputError where it isn't one."""
    check_regular(path)
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text: {error}; save it as UTF-8") from error


Lines = Iterable[tuple[int, Sequence[str]]]


class _Cells(dict[str, str]):
    """The cells of a row; those behind its last one are empty, and take no memory."""

    def __missing__(self, column: str) -> str:
        return ""


def _table(path: Path, lines: Lines) -> Table:
    filled = ((number, cells) for number, cells in lines if any(cells))
    _, heading = next(iter(filled), (0, ()))
    columns = tuple(name for name in heading if name)
    repeated = next((name for name, count in Counter(columns).items() if count > 1), None)
    if repeated is not None:
        raise InputError(f"{path}: has two columns called {repeated!r:.80}; rename one")
    rows = []
    for number, cells in filled:
        if any(cells[len(heading) :]):
            raise InputError(
                f"{path}: row {number} has {len(cells)} cells, but the first row {len(heading)}; "
                "put a cell that holds the separator, as in 0,5, into quotes"
            )
        row = _Cells((name, cell) for name, cell in zip(heading, cells, strict=False) if name)
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
        raise InputError(f"{path}: is not a table of comma-separated values: {error}") from error


def _of_reader(path: Path) -> Lines:
    check_regular(path)
    if not path.is_file():
        raise InputError(f"{path}: does not exist")
    try:
        with local_copy(path) as file:
            return enumerate(read_apart(file, _unpacked(file)), 1)
    except TableError as error:
        raise InputError(f"{path}: {error}") from error
    except LibraryError as error:
        raise InputError(
            f"{path}: Parquet needs pyarrow: pip install 'fastcam[parquet]', or save the table as "
            "CSV or Excel"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error


def _unpacked(path: Path) -> int:
    """Bytes that a workbook holds; InputError where it is a zip bomb."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            if reason := excess(archive, size, _LEAST, _PER_BYTE):
                raise InputError(f"{path}: {reason}")
            return sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return size  # the older .xls, or nothing that can be read
