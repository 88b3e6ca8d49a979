"""Lists (.txt) and tables (.csv, .xlsx, ...) that name images, one a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastcam.errors import InputError
from fastcam.read.inputs.tables import read_cells, read_text

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
    lines = [line.strip() for line in read_text(path).splitlines()]
    found = [path.parent / line for line in lines if line and not line.startswith("#")]
    if not found:
        raise InputError(f"{path}: names no image")
    _check_there(path, found)
    return found


def read_table(path: Path, base: Path) -> list[Listed]:
    """The rows of a table whose first line names its columns; paths are relative to ``base``.

    CSV, Excel or Parquet: see :func:`fastcam.read.inputs.tables.read_cells`. InputError where there is no
    column of images, a row has none, or files are missing.
    """
    table = read_cells(path)
    spelled = {name.lower(): name for name in table.columns}
    image = next((spelled[name] for name in _IMAGE_COLUMNS if name in spelled), None)
    if image is None:
        raise InputError(
            f"{path}: has no column {', '.join(_IMAGE_COLUMNS[:-1])} or {_IMAGE_COLUMNS[-1]};"
            f" it has {', '.join(table.columns) or 'none'}"
        )
    listed, masks = [], []
    for row in table.rows:
        cells = {name.lower(): cell for name, cell in row.cells.items()}
        source = row.cells[image]
        if not source:
            raise InputError(f"{path}: row {row.number} names no image")
        mask = base / cells["mask"] if cells.get("mask") else None
        masks += [mask] if mask else []
        listed.append(Listed(base / source, mask, cells.get("label", ""), cells.get("id", "")))
    if not listed:
        raise InputError(f"{path}: names no image: it has a heading only")
    _check_there(path, [entry.source for entry in listed])
    _check_there(path, masks)
    return listed


def _check_there(path: Path, named: Sequence[Path]) -> None:
    missing = [entry for entry in named if not entry.exists()]
    if missing:
        raise InputError(
            f"{path}: {len(missing)} of {len(named)} files are missing, the first is {missing[0]}"
        )
