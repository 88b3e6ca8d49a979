"""The file of judgements: ``review.tsv``, one line a judgement, appended and never rewritten.

As in BIDS, columns are parted by tabs, the first line names them, and what is not there is
``n/a``. Several rooms may append to one file at the same time. A line counts when it is there in
full, the time at its end included: what a crash cut short is passed over, and the next line begins
on a line of its own.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from fastcam.errors import InputError, OutputError
from fastcam.jobs.view.request import ViewRequest
from fastcam.read.regular_files import check_regular
from fastcam.run.csv_cells import csv_cell, original_text
from fastcam.storage.object_path import ObjectPath

NAME = "review.tsv"
_NOTHING = "n/a"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a reader says of a case.

    Attributes:
        case: the case's name.
        run: the name of the run that was looked at.
        slice: the slice, as the run counts it; empty for an image.
        method: method, layer and head of the map.
        mark: the mark; empty where an earlier one is taken back.
        note: free text.
        region: what was drawn, ``box x1,y1 x2,y2`` or ``lasso x1,y1 x2,y2 ...`` in pixels of the
            slice as its file has it; empty for none.
        plane: the axis of the file's (z, y, x) that the slice and the region are across.
        reader: who reads.
        time: when, UTC, ISO 8601.
    """

    case: str
    run: str = ""
    slice: str = ""
    method: str = ""
    mark: str = ""
    note: str = ""
    region: str = ""
    plane: str = ""
    reader: str = ""
    time: str = ""


COLUMNS = tuple(field.name for field in fields(Judgement))


class ReviewFile:
    """The judgements in a file, and more of them, from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def read(self) -> list[Judgement]:
        """Every judgement in the file, in its order; none where there is no file yet.

        InputError where the file is something else.
        """
        return read_review(self.path)

    def check_place(self) -> None:
        """InputError where judgements can't be written."""
        folder = self.path.absolute().parent
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent  # those that are missing are made for the first judgement
        place = self.path if self.path.exists() else folder
        if not (folder.is_dir() and os.access(place, os.W_OK)):
            raise InputError(
                f"{self.path}: judgements can't be written there; give another --review"
            )

    def append(self, judgement: Judgement) -> Judgement:
        """Add a judgement, with the time; it is on the disk when this returns.

        OutputError where it can't be written.
        """
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        stamped = Judgement(**{**vars(judgement), "time": now})
        with self._lock, _write_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(
                self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666
            )
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                _write(descriptor, _start(descriptor) + _line(stamped))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        return stamped


def read_review(path: Path) -> list[Judgement]:
    """The judgements in the file at ``path``, whose lines are there in full; none without a file.

    InputError where it can't be read, or its first line names other columns.
    """
    if not path.exists():
        return []
    check_regular(path)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    lines = text.split("\n")
    names = lines[0].split("\t")
    if not lines[0]:
        return []
    if "case" not in names or "mark" not in names:
        raise InputError(
            f"{path}: is not a file of judgements: its first line has no columns case and mark"
        )
    return [judgement for line in lines[1:] if (judgement := _judgement(names, line)) is not None]


def _judgement(names: list[str], line: str) -> Judgement | None:
    cells = line.split("\t")
    if len(cells) != len(names):
        return None
    values = {
        name: "" if cell == _NOTHING else original_text(cell)
        for name, cell in zip(names, cells, strict=True)
        if name in COLUMNS
    }
    judgement = Judgement(**values)
    whole = not judgement.time or _TIME.fullmatch(judgement.time)
    return judgement if judgement.case and whole else None


def latest(judgements: Iterable[Judgement]) -> dict[tuple[str, str], Judgement]:
    """By reader and case the judgement that holds: the last one. A mark that was taken back is
    none."""
    last = {(judgement.reader, judgement.case): judgement for judgement in judgements}
    return {key: judgement for key, judgement in last.items() if judgement.mark}


def _line(judgement: Judgement) -> bytes:
    cells = [str(csv_cell(getattr(judgement, name))) or _NOTHING for name in COLUMNS]
    return ("\t".join(cells) + "\n").encode("utf-8", "backslashreplace")


def _start(descriptor: int) -> bytes:
    """What comes before a new line: the names of the columns, or the end of half a line."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        return ("\t".join(COLUMNS) + "\n").encode()
    return b"" if os.pread(descriptor, 1, size - 1) == b"\n" else b"\n"


def _write(descriptor: int, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@contextlib.contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path}: the judgement can't be written: {error.strerror or error}; give another "
            "--review"
        ) from error


def review_path(request: ViewRequest) -> Path:
    """The file of a room's judgements: as asked for, or beside the first run."""
    judging, first = request.judging, request.runs[0]
    if isinstance(judging.file, ObjectPath):
        raise InputError(f"--review {judging.file}: give a file of this machine")
    if judging.file is not None:
        return judging.file
    inside = first.is_dir() and not (first / "zarr.json").exists()
    folder = first if inside else first.resolve().parent
    if isinstance(folder, ObjectPath):  # where lines can't be added to a file
        folder = Path.cwd()
    reader = re.sub(r"[^\w.-]+", "_", judging.reader).strip("._")
    return folder / (f"review-{reader}.tsv" if reader else NAME)
