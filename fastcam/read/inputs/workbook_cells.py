"""The cells of a workbook as text, read in a process of its own whose memory and time are limited.

One cell in the last corner of an empty sheet makes python-calamine ask for 512 GB, which ends the
process. So this file is run as a script: it imports nothing of fastcam, and starts in 0.1 s.
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

# Bytes and seconds that reading may take, at least and for each byte of the unpacked file: a cell
# takes 24 bytes there, 32 in the reader, and 60 as text.
_LEAST_MEMORY, _MEMORY_PER_BYTE = 400 << 20, 16
_LEAST_SECONDS, _BYTES_PER_SECOND = 5, 1 << 20
# How the script ends where the workbook is at fault, and where it is locked.
_NO_WORKBOOK, _LOCKED = 3, 4


class WorkbookError(ValueError):
    """A workbook that can't be read; the message says why, without the file."""


def read_workbook(path: Path, unpacked: int) -> list[list[str]]:
    """The rows of the first sheet that isn't empty, from the sheet's first row and column.

    ``unpacked`` is how many bytes the file holds. Raises WorkbookError, and OSError where no
    process can be started.
    """
    memory = _LEAST_MEMORY + _MEMORY_PER_BYTE * unpacked
    seconds = _LEAST_SECONDS + unpacked // _BYTES_PER_SECOND
    process = subprocess.run(
        [sys.executable, "-P", __file__, str(path), str(memory), str(seconds)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if process.returncode == 0:
        rows: list[list[str]] = json.loads(process.stdout)
        return rows
    if process.returncode == _LOCKED:
        raise WorkbookError("is locked by a password; save it without one")
    if process.returncode == _NO_WORKBOOK:
        reason = process.stderr.decode("utf-8", "replace").strip().splitlines() or ["?"]
        raise WorkbookError(f"is not a readable workbook: {reason[-1]:.300}")
    raise WorkbookError(
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
    from python_calamine import load_workbook

    with load_workbook(path) as book:
        for name in book.sheet_names:
            sheet = book.get_sheet_by_name(name)
            rows = list(_texts(sheet.iter_rows(), sheet.start))
            if any(any(row) for row in rows):
                return rows
    return []


def _texts(rows: Iterator[list[Any]], start: tuple[int, int] | None) -> Iterator[list[str]]:
    # Rows have the numbers that the spreadsheet shows.
    above, left = start or (0, 0)
    yield from ([] for _ in range(above))
    before = [""] * left
    for row in rows:
        yield before + ["" if cell == "" else cell_text(cell) for cell in row]


def _main(path: str, memory: str, seconds: str) -> int:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    from python_calamine import CalamineError, PasswordError

    try:
        rows = _first_filled(path)
    except PasswordError:
        return _LOCKED
    except (CalamineError, OSError, ValueError) as error:
        sys.stderr.write(str(error) or type(error).__name__)
        return _NO_WORKBOOK
    json.dump(rows, sys.stdout, ensure_ascii=True)
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
