"""The cells of a workbook or Parquet file as text, read in a process of its own whose memory and
time are limited.

One cell in the last corner of an empty sheet makes python-calamine ask for 512 GB, which ends the
process; a Parquet file of 7 kB may hold 100 GB of text. So this file is run as a script: it imports
nothing of fastcam, and starts in 0.1 s.
"""

from __future__ import annotations

import datetime
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PARQUET = (".parquet", ".pq")
# Bytes and seconds that reading may take, at least and for each byte of the unpacked file: a cell
# takes 24 bytes there, 32 in the reader, and 60 as text.
_LEAST_MEMORY, _MEMORY_PER_BYTE = 400 << 20, 16
_LEAST_SECONDS, _BYTES_PER_SECOND = 5, 1 << 20
# The same for each byte of a Parquet file, and for each of its cells. Arrow's libraries alone take
# 290 MB of addresses. Cells that are alike take no room in the file.
_PARQUET_LEAST, _PARQUET_PER_BYTE, _PARQUET_PER_CELL = 600 << 20, 200, 200
_CELLS_PER_SECOND = 100_000
# Cells that a Parquet file may have, at least and for each byte of the file.
_LEAST_CELLS, _CELLS_PER_BYTE = 2_000_000, 64
# How the script ends where the file is at fault, and where its library isn't installed.
_NO_TABLE, _NO_LIBRARY = 3, 4


class TableError(ValueError):
    """A table that can't be read; the message says why, without the file."""


class LibraryError(ImportError):
    """The library that reads such a table is not installed."""


def read_apart(path: Path, unpacked: int) -> list[list[str]]:
    """The rows of a Parquet file, its columns' names the first; or of the first sheet of a workbook
    that isn't empty, from the sheet's first row and column.

    ``unpacked`` is how many bytes the file holds. Raises TableError, LibraryError, and OSError
    where no process can be started.
    """
    process = subprocess.run(
        [sys.executable, "-P", __file__, str(path), str(unpacked)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if process.returncode == 0:
        rows: list[list[str]] = json.loads(process.stdout)
        return rows
    if process.returncode == _NO_LIBRARY:
        raise LibraryError(path.suffix)
    if process.returncode == _NO_TABLE:
        raise TableError(process.stderr.decode("utf-8", "replace").strip()[:400])
    if path.suffix.lower() in PARQUET:
        raise TableError(
            "is a Parquet file whose cells take more memory or time than its size allows: texts or "
            "lists of millions of characters? Save the columns that are needed as CSV"
        )
    raise TableError(
        "is a workbook whose sheet takes more memory or time than its size allows: a cell far from "
        "the others? Delete the empty rows and columns, or save the table as CSV"
    )


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


def _first_filled(path: str) -> list[list[str]]:
    from python_calamine import PasswordError, load_workbook

    try:
        with load_workbook(path) as book:
            for name in book.sheet_names:
                sheet = book.get_sheet_by_name(name)
                rows = list(_texts(sheet.iter_rows(), sheet.start))
                if any(any(row) for row in rows):
                    return rows
    except PasswordError as error:
        raise TableError("is locked by a password; save it without one") from error
    return []


def _texts(rows: Iterator[list[Any]], start: tuple[int, int] | None) -> Iterator[list[str]]:
    # Rows have the numbers that the spreadsheet shows.
    above, left = start or (0, 0)
    yield from ([] for _ in range(above))
    before = [""] * left
    for row in rows:
        yield before + ["" if cell == "" else cell_text(cell) for cell in row]


def _of_parquet(path: str) -> list[list[str]]:
    import pyarrow
    from pyarrow import parquet

    # The other allocators reserve a gigabyte of addresses.
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    facts = parquet.read_metadata(path)
    size, cells = Path(path).stat().st_size, facts.num_rows * facts.num_columns
    if cells > _LEAST_CELLS + _CELLS_PER_BYTE * size:
        raise TableError(
            f"has {facts.num_rows} rows of {facts.num_columns} columns, more than a file of this "
            "size may have; save the table as CSV"
        )
    _limit(
        _PARQUET_LEAST + _PARQUET_PER_BYTE * size + _PARQUET_PER_CELL * cells,
        _LEAST_SECONDS + cells // _CELLS_PER_SECOND,
    )
    table = parquet.read_table(path, use_threads=False, pre_buffer=False)
    columns = [[cell_text(cell) for cell in column.to_pylist()] for column in table.columns]
    names = [name.strip() for name in table.column_names]
    return [names, *map(list, zip(*columns, strict=True))]


def _limit(memory: int, seconds: int) -> None:
    """Bytes of addresses and seconds of the processor that this process may take."""
    for kind, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds)):
        _, most = resource.getrlimit(kind)
        soft = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(kind, (soft, most))


def _main(path: str, unpacked: int) -> int:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    is_parquet = Path(path).suffix.lower() in PARQUET
    if is_parquet:
        _limit(_PARQUET_LEAST + _PARQUET_PER_BYTE * unpacked, _LEAST_SECONDS)
    else:
        _limit(
            _LEAST_MEMORY + _MEMORY_PER_BYTE * unpacked,
            _LEAST_SECONDS + unpacked // _BYTES_PER_SECOND,
        )
    try:
        rows = _of_parquet(path) if is_parquet else _first_filled(path)
    except ImportError:
        return _NO_LIBRARY
    except TableError as error:
        sys.stderr.write(str(error))
        return _NO_TABLE
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the library says of the file
        kind = "no Parquet file that can be read" if is_parquet else "not a readable workbook"
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        sys.stderr.write(f"is {kind}: {reason:.300}")
        return _NO_TABLE
    json.dump(rows, sys.stdout, ensure_ascii=True)
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], int(sys.argv[2])))
