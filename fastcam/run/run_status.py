"""How far a run is, in a file of its output folder that another terminal can read."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from fastcam.errors import FastcamError, InputError, OutputError, one_line
from fastcam.read.regular_files import read_regular
from fastcam.run.files import write_text
from fastcam.run.processes import has_died, process_stamp
from fastcam.run.progress import Progress

PROGRESS = "progress.json"
Status = Literal["running", "finished", "interrupted", "failed", "dead"]
_STATUSES: tuple[Status, ...] = ("running", "finished", "interrupted", "failed")
# All that is known of a run whose process is gone and which last said that it is running.
DEAD = "ended without saying so (it was killed, or its folder could not be written to)"
# Between two writes; a run may advance a thousand times a second.
_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class RunState:
    """How far the run of a folder is, or was when it ended.

    Attributes:
        command: the command that runs.
        status: ``running``; ``finished``; ``interrupted`` by Ctrl-C or a signal; ``failed`` by an
            error; ``dead`` where it ended without saying so, as far as this machine can know:
            it was killed, or couldn't write into the folder any more.
        process: number of its process.
        host: the machine that it runs on.
        started: when it began, UTC.
        updated: when it wrote last, UTC.
        unit: what is counted at present, in the plural: images, figures, ...; empty before the
            first.
        total: how many of them the run has to do.
        done: how many are done.
        seconds: what these took.
        failed: how many images or figures have failed so far.
        reason: why the run failed, in one line.
    """

    command: str
    status: Status
    process: int
    host: str
    started: datetime
    updated: datetime
    unit: str
    total: int
    done: int
    seconds: float
    failed: int
    reason: str

    def __repr__(self) -> str:
        unit = self.unit or "images"
        counts = f"{self.done} of {self.total} {unit}, {self.failed} failed"
        return f"<fastcam {self.command}, {self.status}: {counts}>"

    @property
    def left(self) -> int:
        """How many are left."""
        return max(0, self.total - self.done)

    @property
    def per_second(self) -> float:
        """How many are done in a second; 0 before the first."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long what is left takes at this speed; None where that isn't known."""
        if self.status != "running" or not self.per_second:
            return None
        return self.left / self.per_second


class RunStatus:
    """A progress that hands all on to ``progress`` and writes it into ``folder``; a context manager
    for the whole run of ``command``.

    Nothing is written before the first stage begins: until then the folder may be another run's. A
    folder that can't be written to is for the run itself to notice.
    """

    def __init__(self, folder: Path, command: str, progress: Progress) -> None:
        self._path = folder.absolute() / PROGRESS
        self._command, self._progress = command, progress
        self._lock = threading.Lock()
        self._started = _now()
        self._stage: dict[str, Any] = {"unit": "", "total": 0, "done": 0}
        self._failed = 0
        self._begin_time = self._written = 0.0

    def __enter__(self) -> RunStatus:
        if unfinished := unfinished_run(self._path.parent):
            self._progress.note(f"{self._path.parent}: {unfinished}")
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None and self._path.parent.is_dir():
            self._write("finished")
        elif error is not None and self._written:
            stopped = isinstance(error, KeyboardInterrupt)
            own = isinstance(error, FastcamError)
            reason = str(error) if own else f"{type(error).__name__}: {error}"
            self._write("interrupted" if stopped else "failed", "" if stopped else reason)

    def note(self, text: str) -> None:
        """As :class:`Progress` has it."""
        self._progress.note(text)

    def begin(self, what: str, total: int) -> None:
        """As :class:`Progress` has it."""
        with self._lock:
            self._stage = {"unit": what, "total": total, "done": 0}
            self._begin_time = time.monotonic()
        self._write("running")
        self._progress.begin(what, total)

    def advance(self, count: int) -> None:
        """As :class:`Progress` has it."""
        with self._lock:
            self._stage["done"] += count
        if time.monotonic() - self._written >= _SECONDS:
            self._write("running")
        self._progress.advance(count)

    def end(self) -> None:
        """As :class:`Progress` has it."""
        self._write("running")
        self._progress.end()

    def fail(self, count: int) -> None:
        """So many more have failed."""
        with self._lock:
            self._failed += count

    def _write(self, status: Status, reason: str = "") -> None:
        with self._lock:
            now = time.monotonic()
            seconds = now - self._begin_time if self._begin_time else 0.0
            if status == "running":
                self._stage["seconds"] = round(seconds, 3)
            content = {
                "command": self._command,
                "status": status,
                "process": process_stamp(),
                "started": self._started,
                "updated": _now(),
                "stage": {"seconds": 0.0, **self._stage},
                "failed": self._failed,
                "reason": one_line(reason),
            }
            self._written = now
            with contextlib.suppress(OutputError):
                write_text(self._path, json.dumps(content, indent=2) + "\n")


def read_state(folder: Path) -> RunState:
    """How far the run that writes, or wrote, into ``folder`` is. InputError where no run did."""
    path = folder / PROGRESS
    try:
        record = json.loads(read_regular(path).decode("utf-8"))
        stage, stamp = record["stage"], record["process"]
        status: Status = next(name for name in _STATUSES if name == record["status"])
        if status == "running" and has_died(stamp):
            status = "dead"
        return RunState(
            command=str(record["command"]),
            status=status,
            process=int(stamp["pid"]),
            host=str(stamp["host"]),
            started=_time(record["started"]),
            updated=_time(record["updated"]),
            unit=str(stage["unit"]),
            total=int(stage["total"]),
            done=int(stage["done"]),
            seconds=float(stage["seconds"]),
            failed=int(record["failed"]),
            reason=str(record["reason"]),
        )
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = f"has no {PROGRESS}" if folder.is_dir() else "there is no such folder"
        raise InputError(
            f"{folder}: {missing}; give the --output-dir of a run of infer, render, evaluate or "
            "analyze that has begun"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except (ValueError, LookupError, TypeError, StopIteration, RecursionError) as error:
        raise InputError(
            f"{path}: does not say how far a run is ({type(error).__name__}); the next run of the "
            "same command writes it again"
        ) from error


def unfinished_run(folder: Path) -> str:
    """A line on the last run that wrote into ``folder`` where it ended before it was done; "" where
    it didn't, or nobody knows."""
    try:
        state = read_state(folder)
    except InputError:
        return ""
    ends = {"dead": DEAD, "interrupted": "was interrupted", "failed": "failed"}
    if state.status not in ends:
        return ""
    text = f"the last run, of fastcam {state.command}, {ends[state.status]}"
    if state.unit:
        # One that is dead wrote a second before, or as long as it could.
        count = f"at least {state.done}" if state.status == "dead" else str(state.done)
        text += f" after {count} of {state.total} {state.unit}"
    return f"{text}: {state.reason}" if state.reason else text


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _time(text: str) -> datetime:
    """A moment in UTC; ValueError for what is none."""
    return datetime.fromisoformat(text).astimezone(UTC)
