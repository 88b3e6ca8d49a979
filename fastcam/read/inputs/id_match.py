"""Which row of a table belongs to which image, whatever folders and suffixes its ids carry."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
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
    """A line of ``unmatched.csv``: ``what`` is "image", "row", or "duplicate" for a row that says
    again what another says; ``name`` the image's id or the row's, ``row`` its number, 0 for an
    image."""

    what: str
    name: str
    row: int
    reason: str


@dataclass(frozen=True)
class Matched:
    """``rows`` has the row of each image, by the image's place among ``items``, from 0; ``wrong``,
    also by place, why an image with several rows has none."""

    column: str
    rows: Mapping[int, Row]
    wrong: Mapping[int, str]
    unmatched: tuple[Unmatched, ...]

    def count(self, what: str) -> int:
        """How many lines there are of images, of rows, or of duplicates."""
        return sum(entry.what == what for entry in self.unmatched)


def match_rows(items: Sequence[Item], table: Table, target: str, column: str | None) -> Matched:
    """Find each image's row by the ids in ``column``; None: in the column that fits most images.

    An id names an image by its file name or path, with or without folders and suffix, in any
    letter case; a number also without leading zeros, which spreadsheets drop. Where several
    images are called alike, the folders decide, then the suffix. Rows and images that stay alone,
    and ids that fit several images, are in ``unmatched``; an image whose rows contradict each
    other in the column ``target`` is in ``wrong``. InputError where no row fits any image.
    """
    names = _Names(items)
    if column is None:
        column = _best_column(names, table, target)
    else:
        column = table.column("--id-column", column)
    found: defaultdict[int, list[Row]] = defaultdict(list)
    unmatched = []
    for row in table.rows:
        places = names.find(row.cells[column])
        if len(places) == 1:
            found[places[0]].append(row)
            continue
        reason = "no image is called so"
        if places:
            shown = ", ".join(str(items[place].source) for place in places[:3])
            reason = f"fits {len(places)} images: {shown}; give the folder, too"
        elif not row.cells[column]:
            reason = f"column {column!r} is empty"
        unmatched.append(Unmatched("row", row.cells[column], row.number, reason))
    if not found:
        raise InputError(
            f"{table.path}: none of its {len(table.rows)} rows fits an image; column {column!r} "
            f"has {_shown(row.cells[column] for row in table.rows)}, the images are called "
            f"{_shown(item.id for item in items)}; give --id-column"
        )
    rows, wrong = {}, {}
    for place, item in enumerate(items):
        several = found.get(place, [])
        if len({row.cells[target] for row in several}) > 1:
            numbers = ", ".join(str(row.number) for row in several)
            wrong[place] = f"rows {numbers} give it different values of {target!r}"
            continue
        if not several:
            unmatched.append(Unmatched("image", item.id, 0, "has no row in the table"))
            continue
        rows[place] = several[0]
        for row in several[1:]:
            reason = f"says the same of {item.id} as row {several[0].number}"
            unmatched.append(Unmatched("duplicate", row.cells[column], row.number, reason))
    return Matched(column, rows, wrong, tuple(unmatched))


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
        for place, (item, parts) in enumerate(zip(items, self.parts, strict=True)):
            # The id, too: of a volume in a folder it is the folder's name.
            for name in dict.fromkeys([parts[-1], _parts(item.id)[-1]]):
                self.exact[name].append(place)
                self.folded[name.casefold()].append(place)
                self.numbers[_number(name)].append(place)

    def find(self, written: str) -> list[int]:
        """The places of the images that an id fits; none for an empty one."""
        if not written:
            return []
        parts, suffix = _parts(written), Path(written).suffix.casefold()
        for names, key in (
            (self.exact, parts[-1]),
            (self.folded, parts[-1].casefold()),
            (self.numbers, _number(parts[-1])),
        ):
            places = names.get(key, []) if key else []
            if places:
                return places if len(places) == 1 else self._nearest(places, parts, suffix)
        return []

    def _nearest(self, places: list[int], parts: list[str], suffix: str) -> list[int]:
        """Those that have the most folders in common with an id, counted from the file, and of
        these the one with its suffix."""
        common = {place: _common(self.parts[place][:-1], parts[:-1]) for place in places}
        most = max(common.values())
        nearest = [place for place in places if common[place] == most]
        same = [place for place in nearest if self.suffixes[place] == suffix]
        return same if len(same) == 1 else nearest


def _parts(written: str) -> list[str]:
    """A path's parts without the suffix of the last; Windows' separators count."""
    parts = [part for part in re.split(r"[/\\]+", written.strip()) if part not in ("", ".")]
    return [*parts[:-1], stem_of(parts[-1])] if parts else [written]


def _number(name: str) -> str:
    """``7`` for ``007`` and for ``7.0``, which is what pandas makes of it; else ""."""
    found = re.fullmatch(r"0*(\d+)(\.0+)?", name)
    return found[1] if found and name.isascii() else ""


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a.casefold() != b.casefold():
            break
        count += 1
    return count


def _best_column(names: _Names, table: Table, target: str | None) -> str:
    counts: Counter[str] = Counter()
    for column in table.columns:
        if column != target:
            counts[column] = len({p for row in table.rows for p in names.find(row.cells[column])})
    usual = {name: len(_USUAL) - at for at, name in enumerate(_USUAL)}
    best = max(counts, key=lambda name: (counts[name], usual.get(name.casefold(), 0)), default=None)
    if best is None or not counts[best]:
        example = table.rows[0].cells if table.rows else {}
        shown = ", ".join(f"{name} {example.get(name, '')!r}" for name in counts)
        raise InputError(
            f"{table.path}: no column names the images: the first row has {shown or 'nothing'}, "
            f"the images are called {_shown(map('/'.join, (p[-2:] for p in names.parts)))}; give "
            "--id-column"
        )
    return best


def _shown(names: object) -> str:
    first = [str(name) for _, name in zip(range(3), names, strict=False)]  # type: ignore[call-overload]
    return ", ".join(first)
