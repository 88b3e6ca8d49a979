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
from fastcam.read.inputs.tables import Row, Table, few

# Columns that usually name the image, for the case that two fit as many images.
_USUAL = (
    "image", "image_id", "image_name", "filename", "file_name", "file", "path", "id", "patient",
    "patient_id", "patient_name", "case", "case_id", "subject", "subject_id", "name",
)  # fmt: skip

# Of more columns than this, only some are tried on all rows; which, the first rows tell.
_MANY_COLUMNS, _FIRST_ROWS = 64, 8


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
    """Which row of a table belongs to which image; images are identified by their index.

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
            numbers = few([str(row.number) for row in several])
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
        suffixes = [item.source.suffix.casefold() for item in items]
        groups: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
        for index, (item, parts) in enumerate(zip(items, self.parts, strict=True)):
            # The id, too: of a volume in a folder it is the folder's name.
            for name in dict.fromkeys([parts[-1], _parts(item.id)[-1]]):
                for key in enumerate((name, name.casefold(), _number(name))):
                    groups[key].append(index)
        self._groups = {
            key: _Alike(indices, self.parts, suffixes) for key, indices in groups.items() if key[1]
        }

    def find(self, id_text: str) -> list[int]:
        """The indices of the images that an id fits; none for an empty one.

        The same list for ids that fit the same images.
        """
        if not id_text:
            return []
        parts = _parts(id_text)
        name = parts[-1]
        for key in enumerate((name, name.casefold(), _number(name))):
            if group := self._groups.get(key):
                return group.nearest(parts[:-1], Path(id_text).suffix.casefold())
        return []


class _Alike:
    """Images that are called alike; found by their folders, then by their suffix.

    Each answer is found once, and folders are looked up: a table may have a row for each of 300,000
    images of one name.
    """

    def __init__(
        self, indices: list[int], parts: Sequence[Sequence[str]], suffixes: Sequence[str]
    ) -> None:
        self._indices = indices
        self._parts, self._suffixes = parts, suffixes
        # By how many folders above a file count, these folders: which images are in them.
        self._levels: list[dict[tuple[str, ...], list[int]]] = []
        self._answers: dict[tuple[int, tuple[str, ...], str], list[int]] = {}

    def nearest(self, folders: Sequence[str], suffix: str) -> list[int]:
        """Those that have the most folders in common with an id, counted from the file, and of
        these the one with its suffix."""
        if len(self._indices) == 1:
            return self._indices
        above = tuple(folder.casefold() for folder in reversed(folders))
        common, matches = 0, self._indices
        while common < len(above) and (more := self._within(above[: common + 1])):
            common, matches = common + 1, more
        key = (common, above[:common], suffix)
        if key not in self._answers:
            same = [index for index in matches if self._suffixes[index] == suffix]
            self._answers[key] = same if len(same) == 1 else matches
        return self._answers[key]

    def _within(self, above: tuple[str, ...]) -> list[int]:
        while len(self._levels) < len(above):
            depth = len(self._levels) + 1
            level: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
            for index in self._indices:
                folders = self._parts[index][-2 : -2 - depth : -1]
                if len(folders) == depth:
                    level[tuple(folder.casefold() for folder in folders)].append(index)
            self._levels.append(level)
        return self._levels[len(above) - 1].get(above, [])


def _parts(path: str) -> list[str]:
    """A path's parts without the suffix of the last; Windows' separators count."""
    parts = [part for part in re.split(r"[/\\]+", path.strip()) if part not in ("", ".")]
    return [*parts[:-1], stem_of(parts[-1])] if parts else [path]


def _number(name: str) -> str:
    """``7`` for ``007`` and for ``7.0``, which is what pandas makes of it; else ""."""
    match = re.fullmatch(r"0*(\d+)(\.0+)?", name)
    return match[1] if match and name.isascii() else ""


def _best_column(names: _Names, table: Table, target: str | None) -> str:
    usual = {name: len(_USUAL) - index for index, name in enumerate(_USUAL)}
    columns = [column for column in table.columns if column != target]
    if len(columns) > _MANY_COLUMNS:
        # Of thousands those that fit best where the table begins, and those with a usual name.
        first = {column: _fitting(names, table.rows[:_FIRST_ROWS], column) for column in columns}
        columns.sort(key=lambda name: (name.casefold() in usual, first[name]), reverse=True)
        columns = columns[:_MANY_COLUMNS]
    counts = Counter({column: _fitting(names, table.rows, column) for column in columns})
    best = max(counts, key=lambda name: (counts[name], usual.get(name.casefold(), 0)), default=None)
    if best is None or not counts[best]:
        example = table.rows[0].cells if table.rows else {}
        cells = few([f"{name} {example.get(name, '')!r:.80}" for name in counts])
        raise InputError(
            f"{table.path}: no column names the images: the first row has "
            f"{cells if counts else 'nothing'}, the images are called "
            f"{_first_three('/'.join(p[-2:]) for p in names.parts)}; give --id-column"
        )
    return best


def _fitting(names: _Names, rows: Sequence[Row], column: str) -> int:
    """How many images the ids in a column fit."""
    matches = {id(indices): indices for row in rows if (indices := names.find(row.cells[column]))}
    return len(set().union(*matches.values()))


def _first_three(names: Iterable[str]) -> str:
    return ", ".join(itertools.islice(names, 3))
