"""Which row of a table belongs to which image, whatever folders and suffixes its ids carry."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastcam.errors import InputError
from fastcam.read.inputs.inputs import Item, stem_of
from fastcam.read.inputs.tables import Row, Table

# Columns that usually name the image, for the case that two fit as many images.
_USUAL = (
    "image", "image_id", "image_name", "filename", "file_name", "file", "path", "id", "patient",
    "patient_id", "patient_name", "case", "case_id", "subject", "subject_id", "name",
)  # fmt: skip


@dataclass(frozen=True)
class Unmatched:
    """A line of ``unmatched.csv``.

    - ``what``: "image", "row", or "duplicate" for a row that repeats another
    - ``name``: the image's id, or the row's
    - ``row``: the row's number, 0 for an image
    - ``reason``: why it has no counterpart
    """

    what: str
    name: str
    row: int
    reason: str


@dataclass(frozen=True)
class RowMatches:
    """Which row of a table belongs to which image. Images are known by their index in ``items``.

    - ``column``: the one that holds the images' ids
    - ``rows``: the row of each image that has one
    - ``errors``: why an image with several rows has none
    - ``unmatched``: images and rows that stay alone, and rows that repeat others
    """

    column: str
    rows: Mapping[int, Row]
    errors: Mapping[int, str]
    unmatched: tuple[Unmatched, ...]

    def count(self, what: str) -> int:
        """How many entries are of images ("image"), of rows ("row"), or "duplicate"."""
        return sum(entry.what == what for entry in self.unmatched)


def match_rows(items: Sequence[Item], table: Table, target: str, column: str | None) -> RowMatches:
    """Find each image's row by the ids in ``column``; None: in the column that fits most images.

    An id names an image by its file name or path, with or without folders and suffix, in any
    letter case; a number also without leading zeros, which spreadsheets drop. Where several
    images are called alike, the folders decide, then the suffix. Rows and images that stay alone,
    and ids that fit several images, are in ``unmatched``; an image whose rows contradict each
    other in the column ``target`` is in ``errors``. InputError where no row fits any image.
    """
    names = _Names(items)
    if column is None:
        column = _best_column(names, table, target)
    else:
        column = table.column("--id-column", column)
    rows_of: defaultdict[int, list[Row]] = defaultdict(list)
    unmatched = []
    for row in table.rows:
        indices = names.find(row.cells[column])
        if len(indices) == 1:
            rows_of[indices[0]].append(row)
            continue
        reason = "no image is called so"
        if indices:
            first = ", ".join(str(items[index].source) for index in indices[:3])
            reason = f"fits {len(indices)} images: {first}; give the folder, too"
        elif not row.cells[column]:
            reason = f"column {column!r} is empty"
        unmatched.append(Unmatched("row", row.cells[column], row.number, reason))
    if not rows_of:
        raise InputError(
            f"{table.path}: none of its {len(table.rows)} rows fits an image; column {column!r} "
            f"has {_first_three(row.cells[column] for row in table.rows)}, the images are called "
            f"{_first_three(item.id for item in items)}; give --id-column"
        )
    rows, errors = {}, {}
    for index, item in enumerate(items):
        several = rows_of.get(index, [])
        if len({row.cells[target] for row in several}) > 1:
            numbers = ", ".join(str(row.number) for row in several)
            errors[index] = f"rows {numbers} give it different values of {target!r}"
            continue
        if not several:
            unmatched.append(Unmatched("image", item.id, 0, "has no row in the table"))
            continue
        rows[index] = several[0]
        for row in several[1:]:
            reason = f"says the same of {item.id} as row {several[0].number}"
            unmatched.append(Unmatched("duplicate", row.cells[column], row.number, reason))
    return RowMatches(column, rows, errors, tuple(unmatched))


def naming_column(items: Sequence[Item], table: Table) -> str:
    """The column whose ids fit most images; InputError where none fits any."""
    return _best_column(_Names(items), table, None)


class _Names:
    """Images by the last part of their path, without suffix."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.parts = [_parts(item.source.absolute().as_posix()) for item in items]
        self.suffixes = [item.source.suffix.casefold() for item in items]
        self.exact: defaultdict[str, list[int]] = defaultdict(list)
        self.folded: defaultdict[str, list[int]] = defaultdict(list)
        self.numbers: defaultdict[str, list[int]] = defaultdict(list)
        for index, (item, parts) in enumerate(zip(items, self.parts, strict=True)):
            # The id, too: of a volume in a folder it is the folder's name.
            for name in dict.fromkeys([parts[-1], _parts(item.id)[-1]]):
                self.exact[name].append(index)
                self.folded[name.casefold()].append(index)
                self.numbers[_number(name)].append(index)

    def find(self, id_text: str) -> list[int]:
        """The indices of the images that an id fits; none for an empty one."""
        if not id_text:
            return []
        parts, suffix = _parts(id_text), Path(id_text).suffix.casefold()
        for names, key in (
            (self.exact, parts[-1]),
            (self.folded, parts[-1].casefold()),
            (self.numbers, _number(parts[-1])),
        ):
            indices = names.get(key, []) if key else []
            if indices:
                return indices if len(indices) == 1 else self._nearest(indices, parts, suffix)
        return []

    def _nearest(self, indices: list[int], parts: list[str], suffix: str) -> list[int]:
        """Those that have the most folders in common with an id, counted from the file, and of
        these the one with its suffix."""
        common = {index: _common(self.parts[index][:-1], parts[:-1]) for index in indices}
        most = max(common.values())
        nearest = [index for index in indices if common[index] == most]
        same = [index for index in nearest if self.suffixes[index] == suffix]
        return same if len(same) == 1 else nearest


def _parts(path: str) -> list[str]:
    """A path's parts without the suffix of the last; Windows' separators count."""
    parts = [part for part in re.split(r"[/\\]+", path.strip()) if part not in ("", ".")]
    return [*parts[:-1], stem_of(parts[-1])] if parts else [path]


def _number(name: str) -> str:
    """``7`` for ``007`` and for ``7.0``, which is what pandas makes of it; else ""."""
    match = re.fullmatch(r"0*(\d+)(\.0+)?", name)
    return match[1] if match and name.isascii() else ""


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """How many parts at the end of two paths are alike."""
    count = 0
    for a, b in zip(reversed(first), reversed(second), strict=False):
        if a.casefold() != b.casefold():
            break
        count += 1
    return count


def _best_column(names: _Names, table: Table, target: str | None) -> str:
    counts: Counter[str] = Counter()
    for column in table.columns:
        if column != target:
            counts[column] = len({p for row in table.rows for p in names.find(row.cells[column])})
    usual = {name: len(_USUAL) - index for index, name in enumerate(_USUAL)}
    best = max(counts, key=lambda name: (counts[name], usual.get(name.casefold(), 0)), default=None)
    if best is None or not counts[best]:
        example = table.rows[0].cells if table.rows else {}
        cells = ", ".join(f"{name} {example.get(name, '')!r}" for name in counts)
        raise InputError(
            f"{table.path}: no column names the images: the first row has {cells or 'nothing'}, "
            f"the images are called {_first_three('/'.join(p[-2:]) for p in names.parts)}; give "
            "--id-column"
        )
    return best


def _first_three(names: Iterable[str]) -> str:
    return ", ".join(itertools.islice(names, 3))
