"""The output folder of a run: what is finished, with which settings, and what failed.

``run.json`` says what the run was, ``figures.csv`` lists every finished file as it is finished,
``failures.csv`` what could not be drawn and why. A file counts as finished when it is listed and
there; nothing is guessed from what happens to lie in the folder.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import json
import os
import shutil
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, fields, replace
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from fastcam.errors import InputError, OutputError
from fastcam.run.files import TEMPORARY, make_folder, remove, write_text
from fastcam.run.records import FigureRecord, Failure

RUN = "run.json"
FIGURES = "figures.csv"
FAILURES = "failures.csv"
STORE = "run.zarr"
_DRAWN_COLUMNS = [field.name for field in fields(FigureRecord)]
_TROUBLE_COLUMNS = [field.name for field in fields(Failure)]
# astuple copies every field deeply: a third of a second in 10,000 figures, once there, once back.
_drawn_row = attrgetter(*_DRAWN_COLUMNS)
_trouble_row = attrgetter(*_TROUBLE_COLUMNS)


def whole_rows(text: str) -> list[dict[str, str]]:
    """The lines of a CSV file with a header that are there in full.

    A run that was killed may have left half a line at the end, and half a number is a number.
    """
    rows = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    return [row for row in rows if None not in row and None not in row.values()]


class RunFolder:
    """An output folder claimed by one run; a context manager that lets go of it again.

    ``settings`` is what decides how figures look. Raises :class:`InputError` when the folder
    holds figures of other settings (unless ``overwrite``, which removes exactly the files that
    earlier runs listed) or when another run is writing into it.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], overwrite: bool) -> None:
        self.path = path
        self._settings = json.loads(json.dumps(settings, default=str))
        make_folder(path)
        earlier = self._earlier_settings(overwrite)
        self._journal = self._open_journal()
        try:
            self.finished = self._read_finished()
            other = earlier is not None and earlier != self._settings
            # A run that drew nothing, say with a wrong --root-dir, binds nobody.
            if other and self.finished and not overwrite:
                differing = _difference(earlier, self._settings)
                raise InputError(
                    f"{path} holds figures made with other settings ({differing}); give another "
                    f"--output-dir, or --overwrite to replace them"
                )
            if overwrite or other:
                self._clear()
            self._earlier_troubles = self._read_troubles()
            self.remove_leftovers()
            self.rewrite_journal()
            self.write_run({"status": "running"})
        except BaseException:
            self._let_go()
            raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._let_go()

    def _let_go(self) -> None:
        # Closing tries once more to write what a full disk refused; that was said already.
        with contextlib.suppress(OSError):
            self._journal.close()

    def record(self, drawn: Iterable[FigureRecord]) -> None:
        """List finished files; they are on the disk already."""
        writer = csv.writer(self._journal)
        for record in drawn:
            self.finished[record.path] = record
            writer.writerow(_drawn_row(record))
        try:
            self._journal.flush()
        except OSError as error:
            raise OutputError(
                f"{self.path / FIGURES}: can't be written: {error.strerror}"
            ) from error

    def rewrite_journal(self) -> None:
        """Replace the list by what is finished, in the order of cases and slices."""
        ordered = sorted(
            self.finished.values(),
            key=lambda r: (r.place, -1 if r.slice is None else r.slice, r.path),
        )
        self.finished = {record.path: record for record in ordered}
        try:
            self._journal.seek(0)
            self._journal.truncate()
            csv.writer(self._journal).writerows([_DRAWN_COLUMNS, *map(_drawn_row, ordered)])
            self._journal.flush()
        except OSError as error:
            raise OutputError(
                f"{self.path / FIGURES}: can't be written: {error.strerror}"
            ) from error

    def write_failures(self, failures: Iterable[Failure], redone: Container[int]) -> None:
        """Write ``failures.csv``; without troubles there is none.

        What earlier runs said of cases whose places are not ``redone`` still holds.
        """
        now = list(failures)
        said = {replace(t, figures=0) for t in now}
        kept = [
            t
            for t in self._earlier_troubles
            if t.place not in redone and replace(t, figures=0) not in said
        ]
        rows = [
            _trouble_row(t)
            for t in sorted(
                [*kept, *now],
                key=lambda t: (t.place, -1 if t.slice is None else t.slice, t.level, t.reason),
            )
        ]
        if not rows:
            (self.path / FAILURES).unlink(missing_ok=True)
            return
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([_TROUBLE_COLUMNS, *rows])
        write_text(self.path / FAILURES, text.getvalue())

    def write_run(self, facts: Mapping[str, Any]) -> None:
        """Write ``run.json``: the settings, and ``facts`` about how it went."""
        content = {**facts, "settings": self._settings}
        text = json.dumps(content, indent=2, ensure_ascii=False, default=str)
        write_text(self.path / RUN, text + "\n")

    def remove_leftovers(self) -> None:
        """Half-written files of a run, or of a worker, that was killed; nobody writes here now."""
        if not self._locked:
            return
        for folder in (self.path, *self.path.glob("[0-9][0-9][0-9]*_*/")):
            for path in folder.glob(f"{TEMPORARY}*"):
                path.unlink(missing_ok=True)
        for path in self.path.glob(f".{STORE}.*.part"):
            shutil.rmtree(path, ignore_errors=True)

    def remove_store(self) -> None:
        """Make room for a new run store."""
        remove(self.path / STORE)

    def _earlier_settings(self, overwrite: bool) -> object:
        path = self.path / RUN
        try:
            earlier = json.loads(path.read_text(encoding="utf-8"))
            return earlier["settings"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            if overwrite:
                return None
            raise InputError(
                f"{path} is not a run's description ({error}); give another --output-dir, or "
                f"--overwrite to replace it"
            ) from error

    def _open_journal(self) -> IO[str]:
        path = self.path / FIGURES
        try:
            # A killed run may have left half a character at the end.
            journal = path.open("a+", newline="", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise OutputError(f"{path}: can't be written: {error.strerror}") from error
        self._locked = True
        try:
            fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            journal.close()
            raise InputError(
                f"{self.path}: another fastcam run is writing into this folder; wait for it or "
                f"give another --output-dir"
            ) from error
        except OSError:
            # Some network file systems have no locks: then two runs are the user's care.
            self._locked = False
        return journal

    def _listed(self) -> dict[str, FigureRecord]:
        self._journal.seek(0)
        listed = {}
        for row in whole_rows(self._journal.read()):
            try:
                listed[row["path"]] = FigureRecord(
                    row["path"], int(row["place"]), row["case"],
                    int(row["slice"]) if row["slice"] else None, row["best"] == "True",
                    float(row["average"]), float(row["low"]), float(row["high"]),
                    row.get("limits", ""),
                )  # fmt: skip
            except (KeyError, TypeError, ValueError):
                continue  # the half line of a run that was killed: its figure is drawn again
        return listed

    def _read_finished(self) -> dict[str, FigureRecord]:
        return {
            path: record for path, record in self._listed().items() if (self.path / path).is_file()
        }

    def _read_troubles(self) -> list[Failure]:
        try:
            text = (self.path / FAILURES).read_text(encoding="utf-8")
            return [
                Failure(
                    row["level"], int(row["place"]), row["case"],
                    int(row["slice"]) if row["slice"] else None, int(row["figures"]),
                    row["reason"],
                )
                for row in csv.DictReader(io.StringIO(text))
            ]  # fmt: skip
        except (OSError, KeyError, TypeError, ValueError):
            return []  # none, or a list that somebody edited: this run writes its own

    def _clear(self) -> None:
        root = self.path.resolve()
        for listed in self._listed():
            path = self.path / listed
            if path.resolve().is_relative_to(root) and not path.is_dir():
                path.unlink(missing_ok=True)
        for path in (self.path / FAILURES, self.path / RUN):
            path.unlink(missing_ok=True)
        self._journal.seek(0)
        self._journal.truncate()
        self.finished = {}


def _difference(earlier: object, now: Mapping[str, Any]) -> str:
    """Which settings differ, old and new value, as ``heat_alpha 0.5, now 0.4``."""
    if not isinstance(earlier, dict):
        return "unreadable"
    parts = []
    for key in [*now, *(key for key in earlier if key not in now)]:
        old, new = earlier.get(key), now.get(key)
        if old != new:
            name = key.replace("_", "-")
            parts.append(f"{name} {old}, now {new}")
    return "; ".join(parts)


def write_failures(path: Path, failures: Sequence[Failure]) -> None:
    """``failures.csv``; without troubles there is none."""
    if not failures:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    columns = [entry.name for entry in fields(Failure)]
    csv.writer(text, lineterminator="\n").writerows([columns, *map(astuple, failures)])
    write_text(path, text.getvalue())


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """One run at a time writes into a folder."""
    make_folder(folder)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{folder}: another fastcam run is writing into this folder; wait for it or give "
                "another --output-dir"
            ) from error
        except OSError:
            pass  # some network file systems have no locks: then two runs are the user's care
        yield
    finally:
        os.close(handle)
