"""A CSV file that rows are added to as they are finished, so that a run that is stopped is gone on
with."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from fastcam.errors import OutputError
from fastcam.run.csv_cells import csv_row, original_text
from fastcam.run.files import TEMPORARY, sync
from fastcam.run.folder_lock import FolderLock

Row = TypeVar("Row")


def whole_rows(text: str) -> list[dict[str, str]]:
    """The lines of a CSV file with a header that are there in full.

    A run that was killed may have left half a line at the end, and half a number is a number.
    """
    lines = csv.reader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    rows: list[dict[str, str]] = []
    columns = next(lines, [])
    # An open quote of a damaged file takes in all that follows, more than a cell can be.
    with contextlib.suppress(csv.Error):
        rows.extend(
            dict(zip(columns, map(original_text, cells), strict=True))
            for cells in lines
            if cells and len(cells) == len(columns)
        )
    return rows


def parsed_rows(text: str, parse: Callable[[Mapping[str, str]], Row]) -> list[Row]:
    """The rows of a journal's text; lines that are none are left out."""
    rows = []
    for cells in whole_rows(text):
        with contextlib.suppress(KeyError, TypeError, ValueError):
            rows.append(parse(cells))
    return rows


class Journal(Generic[Row]):
    """The journal at ``path``, made if it isn't there, and locked for the run of its ``folder``.

    A row is a dataclass with the attributes ``columns``; ``parse`` makes it of the cells of a
    line, and raises KeyError, TypeError or ValueError where these are none. Raises
    :class:`InputError` when another run has locked it, :class:`OutputError` where it can't be
    written.
    """

    def __init__(
        self, path: Path, columns: Sequence[str], parse: Callable[[Mapping[str, str]], Row]
    ) -> None:
        self.path = path
        self._columns, self._parse = columns, parse
        # astuple copies every field deeply: a third of a second in 10,000 rows.
        self._cells: Callable[[Row], Sequence[Any]] = attrgetter(*columns)
        with self._errors():
            self._file = self._open()
            try:
                self._lock = FolderLock(path, path.parent)
            except BaseException:
                self._file.close()
                raise
            if self._lock.effective:
                try:
                    self._drop_half_line()
                except OSError:
                    self.close()
                    raise

    @property
    def locked(self) -> bool:
        """Whether no other run can write it; not where the file system has no locks."""
        return self._lock.effective

    def rows(self) -> list[Row]:
        """Its rows; lines that are none, such as half a line of a run that was killed, are left
        out."""
        return parsed_rows(self._text(), self._parse)

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows at the end; they are on the disk itself when this returns."""
        # One write for all of them: where the disk is full, no line is written twice later.
        text = io.StringIO()
        csv.writer(text).writerows(csv_row(self._cells(row)) for row in rows)
        with self._errors():
            self._file.write(text.getvalue())
            self._file.flush()
            sync(self._file.fileno())

    def replace(self, rows: Iterable[Row]) -> None:
        """Put ``rows`` in the place of all that there is: whoever looks sees the old ones or the
        new ones."""
        text = io.StringIO()
        csv.writer(text).writerows([self._columns, *(csv_row(self._cells(row)) for row in rows)])
        if text.getvalue() == self._text():
            return
        temporary = self.path.with_name(f"{TEMPORARY}{self.path.name}-{os.getpid()}")
        with self._errors():
            try:
                with temporary.open("w", newline="", encoding="utf-8", errors=_ERRORS) as file:
                    file.write(text.getvalue())
                    file.flush()
                    sync(file.fileno())
                self._lock.replace(temporary, self.path)
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink()
                raise
            self._file.close()
            self._file = self._open()

    @property
    def due(self) -> bool:
        """Whether rows wait for :meth:`flush`; never here."""
        return False

    def flush(self) -> None:
        """Put down what waits: nothing, rows are on the disk when :meth:`add` returns."""

    def close(self) -> None:
        """Close and unlock it."""
        # Closing tries once more to write what a full disk refused; that was reported already.
        with contextlib.suppress(OSError):
            self._file.close()
        self._lock.release()

    def _open(self) -> IO[str]:
        # A killed run may have left half a character at the end.
        return self.path.open("a+", newline="", encoding="utf-8", errors=_ERRORS)

    def _drop_half_line(self) -> None:
        """Cut off what a killed run left of a line: what is added must not be the rest of it."""
        with self.path.open("rb+") as file:
            content = file.read()
            if content and not content.endswith(b"\n"):
                file.truncate(content.rfind(b"\n") + 1)

    def _text(self) -> str:
        self._file.seek(0)
        return self._file.read()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Errors of the disk as :class:`OutputError`."""
        try:
            yield
        except OSError as error:
            raise OutputError(f"{self.path}: can't be written: {error.strerror}") from error


_ERRORS = "backslashreplace"
