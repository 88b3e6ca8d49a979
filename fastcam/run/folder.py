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
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from fastcam.errors import InputError, OutputError
from fastcam.run.csv_cells import csv_row, original_record
from fastcam.run.failures import FAILURES, read_failures, uncounted, write_failures
from fastcam.run.files import TEMPORARY, make_folder, remove, remove_partial, write_text
from fastcam.run.records import Failure, FigureRecord

RUN = "run.json"
FIGURES = "figures.csv"
STORE = "run.zarr"
_COLUMNS = [field.name for field in fields(FigureRecord)]
# astuple copies every field deeply: a third of a second in 10,000 figures, once there, once back.
_row = attrgetter(*_COLUMNS)


def whole_rows(text: str) -> list[dict[str, str]]:
    """The lines of a CSV file with a header that are there in full.

    A run that was killed may have left half a line at the end, and half a number is a number.
    """
    rows = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    return [original_record(row) for row in rows if None not in row and None not in row.values()]


class RunFolder:
    """An output folder locked by one run; a context manager that unlocks it again.

    ``settings`` is what decides how figures look. Raises :class:`InputError` when the folder
    holds figures of other settings (unless ``overwrite``, which removes exactly the files that
    earlier runs listed) or when another run is writing into it.

    Attributes:
        path: the folder.
        finished: each finished file by its path relative to the folder.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], overwrite: bool) -> None:
        self.path = path
        self._settings = json.loads(json.dumps(settings, default=str))
        make_folder(path)
        for name in (RUN, FIGURES, FAILURES):
            record = path / name
            if record.exists() and not (record.is_file() or record.is_dir()):
                raise InputError(f"{record}: is a pipe, socket or device, not a file; remove it")
        earlier = self._earlier_settings(overwrite)
        self._journal = self._open_journal()
        try:
            self.finished = self._read_finished()
            other = earlier is not None and earlier != self._settings
            # A run that drew nothing, say with a wrong --root-dir, binds nobody.
            if other and self.finished and not overwrite:
                differing = _differing_settings(earlier, self._settings)
                raise InputError(
                    f"{path} holds figures made with other settings ({differing}); give another "
                    f"--output-dir, or --overwrite to replace them"
                )
            if overwrite or other:
                self._clear()
            self._earlier_failures = read_failures(self.path)
            self.remove_leftovers()
            self.rewrite_journal()
            self.write_run({"status": "running"})
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        # Closing tries once more to write what a full disk refused; that was reported already.
        with contextlib.suppress(OSError):
            self._journal.close()

    def record(self, figures: Iterable[FigureRecord]) -> None:
        """List finished files; they are on the disk already."""
        writer = csv.writer(self._journal)
        for record in figures:
            self.finished[record.path] = record
            writer.writerow(csv_row(_row(record)))
        with _journal_errors(self.path):
            self._journal.flush()

    def rewrite_journal(self) -> None:
        """Replace the list by what is finished, in the order of cases and slices."""
        ordered = sorted(
            self.finished.values(),
            key=lambda r: (r.place, -1 if r.slice is None else r.slice, r.path),
        )
        self.finished = {record.path: record for record in ordered}
        with _journal_errors(self.path):
            self._journal.seek(0)
            self._journal.truncate()
            csv.writer(self._journal).writerows(
                [_COLUMNS, *(csv_row(_row(record)) for record in ordered)]
            )
            self._journal.flush()

    def write_failures(self, failures: Iterable[Failure], redone: Container[int]) -> None:
        """Write ``failures.csv``; without failures there is none.

        What earlier runs listed of cases whose numbers are not ``redone`` still holds.
        """
        current = list(failures)
        known = set(map(uncounted, current))
        earlier = [
            failure
            for failure in self._earlier_failures
            if failure.place not in redone and uncounted(failure) not in known
        ]
        ordered = sorted(
            [*earlier, *current],
            key=lambda f: (f.place, -1 if f.slice is None else f.slice, f.level, f.reason),
        )
        write_failures(self.path, ordered)

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
        remove_partial(self.path / STORE)

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
        try:
            # The journal rather than the folder: over NFS only files open for writing are locked.
            self._locked = _lock(journal.fileno(), self.path)
        except BaseException:
            journal.close()
            raise
        return journal

    def _listed(self) -> dict[str, FigureRecord]:
        self._journal.seek(0)
        listed = {}
        for row in whole_rows(self._journal.read()):
            try:
                listed[row["path"]] = FigureRecord(
                    path=row["path"],
                    place=int(row["place"]),
                    case=row["case"],
                    slice=int(row["slice"]) if row["slice"] else None,
                    best=row["best"] == "True",
                    average=float(row["average"]),
                    low=float(row["low"]),
                    high=float(row["high"]),
                    limits=row.get("limits", ""),
                )
            except (KeyError, TypeError, ValueError):
                continue  # the half line of a run that was killed: its figure is drawn again
        return listed

    def _read_finished(self) -> dict[str, FigureRecord]:
        return {
            path: record for path, record in self._listed().items() if (self.path / path).is_file()
        }

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


@contextlib.contextmanager
def _journal_errors(folder: Path) -> Iterator[None]:
    """Errors of writing the journal as :class:`OutputError`."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{folder / FIGURES}: can't be written: {error.strerror}") from error


def _differing_settings(earlier: object, current: Mapping[str, Any]) -> str:
    if not isinstance(earlier, dict):
        return "unreadable"
    keys = [*current, *(key for key in earlier if key not in current)]
    return "; ".join(
        differences((key.replace("_", "-"), earlier.get(key), current.get(key)) for key in keys)
    )


def differences(settings: Iterable[tuple[str, Any, Any]]) -> list[str]:
    """Which settings differ, of triples (name, old value, new value).

    >>> differences([("heat-alpha", 0.5, 0.4), ("top-k", 3, 3)])
    ['heat-alpha 0.5, now 0.4']
    """
    return [f"{name} {old}, now {new}" for name, old, new in settings if old != new]


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Lock a folder, which is made if it isn't there, against other runs.

    Raises :class:`InputError` when another run holds it, :class:`OutputError` when it can't be
    made.
    """
    make_folder(folder)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> bool:
    """Lock an open file for the run that writes into ``folder``; whether there are locks at all."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(
            f"{folder}: another fastcam run is writing into this folder; wait for it or give "
            "another --output-dir"
        ) from error
    except OSError:
        return False  # some network file systems have none: then two runs are the user's care
    return True
