"""Lists (.txt) and tables (.csv) that name images, one a line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastcam.errors import InputError

_IMAGE_COLUMNS = ("image", "path", "file")


@dataclass(frozen=True)
class Listed:
    """A row of a table; ``id`` and ``label`` are "" where the table has none."""

    source: Path
    mask: Path | None
    label: str
    id: str


def read_list(path: Path) -> list[Path]:
    """The paths in a text file, relative to its folder; empty lines and ``# comments`` are left
    out. InputError where files are missing, or none is named."""
    lines = [line.strip() for line in _text(path).splitlines()]
    found = [path.parent / line for line in lines if line and not line.startswith("#")]
    if not found:
        raise InputError(f"{path}: names no image")
    _check_there(path, found)
    return found


def read_table(path: Path, base: Path) -> list[Listed]:
    """The rows of a table whose first line names its columns; paths are relative to ``base``.

    Columns are parted by commas, semicolons or tabs, whichever the first line has most of.
    InputError where there is no column of images, a row has none, or files are missing.
    """
    text = _text(path)
    heading = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=heading.count)
    try:
        rows = list(csv.reader(text.splitlines(), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: is no table of comma-separated values: {error}") from error
    columns = [name.strip().lower() for name in rows[0]] if rows else []
    image = next((columns.index(name) for name in _IMAGE_COLUMNS if name in columns), None)
    if image is None:
        raise InputError(
            f"{path}: has no column {', '.join(_IMAGE_COLUMNS[:-1])} or {_IMAGE_COLUMNS[-1]};"
            f" it has {', '.join(filter(None, columns)) or 'none'}"
        )
    listed, masks = [], []
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        cells = dict(zip(columns, (cell.strip() for cell in row), strict=False))
        source = cells.get(columns[image], "")
        if not source:
            raise InputError(f"{path}: row {number} names no image")
        mask = base / cells["mask"] if cells.get("mask") else None
        masks += [mask] if mask else []
        listed.append(Listed(base / source, mask, cells.get("label", ""), cells.get("id", "")))
    if not listed:
        raise InputError(f"{path}: names no image: it has a heading only")
    _check_there(path, [entry.source for entry in listed])
    _check_there(path, masks)
    return listed


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text: {error}; save it as UTF-8") from error


def _check_there(path: Path, named: Sequence[Path]) -> None:
    missing = [entry for entry in named if not entry.exists()]
    if missing:
        raise InputError(
            f"{path}: {len(missing)} of {len(named)} files are missing, the first is {missing[0]}"
        )
