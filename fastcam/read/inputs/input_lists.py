"""Lists (.txt) and tables (.csv, .xlsx, ...) that name images, one a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastcam.errors import InputError
from fastcam.read.inputs.tables import few, read_cells, read_text
from fastcam.storage.locations import absent, under

_IMAGE_COLUMNS = ("image", "path", "file")


@dataclass(frozen=True)
class ListEntry:
    """A row of a table.

    - ``source``: the image's file
    - ``mask``: that of its mask, if the table names one
    - ``label``, ``id``: "" where the table has none
    """

    source: Path
    mask: Path | None
    label: str
    id: str


def read_list(path: Path) -> list[Path]:
    """The paths in a text file, relative to its folder, or URLs; empty lines and ``# comments`` are
    left out. InputError where files are missing, or none is named."""
    lines = [line.strip() for line in read_text(path).splitlines()]
    paths = [under(path.parent, line) for line in lines if line and not line.startswith("#")]
    if not paths:
        raise InputError(f"{path}: names no image")
    _check_files(path, paths)
    return paths


def read_table(path: Path, base: Path) -> list[ListEntry]:
    """The rows of a table whose first line names its columns; paths are relative to ``base``.

    CSV, Excel or Parquet: see :func:`fastcam.read.inputs.tables.read_cells`. InputError where there
    is no column of images, a row has none, or files are missing.
    """
    table = read_cells(path)
    names = {name.lower(): name for name in table.columns}
    image = next((names[name] for name in _IMAGE_COLUMNS if name in names), None)
    if image is None:
        raise InputError(
            f"{path}: has no column {', '.join(_IMAGE_COLUMNS[:-1])} or {_IMAGE_COLUMNS[-1]};"
            f" it has {few(table.columns)}"
        )
    entries, masks = [], []
    for row in table.rows:
        cells = {name.lower(): cell for name, cell in row.cells.items()}
        source = row.cells[image]
        if not source:
            raise InputError(f"{path}: row {row.number} names no image")
        mask = under(base, cells["mask"]) if cells.get("mask") else None
        masks += [mask] if mask else []
        entries.append(
            ListEntry(under(base, source), mask, cells.get("label", ""), cells.get("id", ""))
        )
    if not entries:
        raise InputError(f"{path}: names no image: it has a heading only")
    _check_files(path, [entry.source for entry in entries])
    _check_files(path, masks)
    return entries


def _check_files(path: Path, files: Sequence[Path]) -> None:
    missing = absent(files)
    if missing:
        raise InputError(
            f"{path}: {len(missing)} of {len(files)} files are missing, the first is {missing[0]}"
        )
