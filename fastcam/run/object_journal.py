"""The journal of an output folder in a bucket, where nothing can be added to an object: the rows of
a few seconds are an object of their own, beside the one that holds those of earlier runs."""

from __future__ import annotations

import csv
import io
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from fastcam.run.csv_cells import csv_row
from fastcam.run.files import remove, write_bytes
from fastcam.run.journal import Journal, Row
from fastcam.storage.object_path import ObjectPath
from fastcam.storage.parallel import side_by_side

# Rows are put after so many seconds, or as many rows: a run that is killed draws those of the last
# seconds again.
_SECONDS, _ROWS = 2.0, 5000


class ObjectJournal(Journal[Row]):
    """A :class:`Journal` in a bucket; there are no locks."""

    def __init__(
        self, path: Path, columns: Sequence[str], parse: Callable[[Mapping[str, str]], Row]
    ) -> None:
        self.path = path
        self._columns, self._parse = columns, parse
        self._cells = attrgetter(*columns)
        self._waiting: list[Row] = []
        self._last = 0
        self._since = 0.0

    @property
    def locked(self) -> bool:
        """False: two runs at once are the user's care."""
        return False

    @property
    def due(self) -> bool:
        """Whether rows have waited long enough."""
        late = time.monotonic() - self._since >= _SECONDS
        return bool(self._waiting) and (late or len(self._waiting) >= _ROWS)

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows at the end; they are there after :meth:`flush`."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting += rows

    def flush(self) -> None:
        """Put the rows that wait."""
        if self._waiting:
            # In their order, also after those of a run that was killed.
            self._last = max(self._last + 1, time.time_ns())
            name = f"{self._last:020}-{uuid.uuid4().hex[:8]}.csv"
            text = _text_of(csv_row(self._cells(row)) for row in self._waiting)
            write_bytes(parts_folder(self.path) / name, [text])
            self._waiting = []

    def replace(self, rows: Iterable[Row]) -> None:
        """Put ``rows`` in the place of all that there is; where this is stopped in the middle,
        some stand there twice."""
        self._waiting = []
        content = _text_of([self._columns, *(csv_row(self._cells(row)) for row in rows)])
        write_bytes(self.path, [content])
        remove(parts_folder(self.path))

    def close(self) -> None:
        """Put what waits."""
        self.flush()

    def _text(self) -> str:
        self.flush()
        try:
            return journal_text(self.path)
        except FileNotFoundError:
            return ""


def open_journal(
    path: Path, columns: Sequence[str], parse: Callable[[Mapping[str, str]], Row]
) -> Journal[Row]:
    """The journal at ``path``, as :class:`Journal` has it."""
    return (ObjectJournal if isinstance(path, ObjectPath) else Journal)(path, columns, parse)


def journal_text(path: Path) -> str:
    """All that stands in a journal, the rows that were put since it was replaced included;
    FileNotFoundError where there is none."""
    if not isinstance(path, ObjectPath):
        with path.open(newline="", encoding="utf-8", errors="backslashreplace") as file:
            return file.read()
    parts = [part for part, _ in parts_folder(path).tree()]
    try:
        text = path.read_text(errors="backslashreplace", newline="")
    except FileNotFoundError:
        if parts:
            return ""
        raise
    return text + "".join(
        side_by_side(lambda part: part.read_text(errors="backslashreplace", newline=""), parts)
    )


def parts_folder(path: Path) -> ObjectPath:
    """The folder of the rows that were added to the journal at ``path``."""
    assert isinstance(path, ObjectPath)
    return path.with_name(f"{path.name}.parts")


def _text_of(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", errors="backslashreplace")
