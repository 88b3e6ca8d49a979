"""What commands print: progress and notes to stderr, results to stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn, Protocol, TypeVar

import typer

from fastcam.cli.log_file import is_logged, log_lines
from fastcam.errors import plain_lines
from fastcam.run.progress import Progress

# Between two lines where stderr is no terminal, and in a log file, which may grow all night.
_SECONDS_BETWEEN_LINES = 5.0
_SECONDS_IN_LOG = 60.0


class _HasExitCode(Protocol):
    @property
    def exit_code(self) -> int: ...


_Report = TypeVar("_Report", bound=_HasExitCode)


class TerminalProgress:
    """A bar with a rate and the time left."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None

    def note(self, text: str) -> None:
        """Print a line, above the bar where there is one."""
        if self._bar is not None and self._bar.live.is_started:
            self._bar.console.print(
                plain_lines(text), markup=False, highlight=False, emoji=False, soft_wrap=True
            )
        else:
            _write_stderr(plain_lines(text))

    def begin(self, unit: str, total: int) -> None:
        """Start a bar for ``total`` of ``unit``."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            Remaining(compact=True),
            TextColumn("left"),
            console=Console(stderr=True),
        )
        self._bar.start()
        self._task = self._bar.add_task(unit, total=total, rate="")

    def advance(self, count: int) -> None:
        """Count ``count`` more as done."""
        self._bar.advance(self._task, count)
        speed = self._bar.tasks[0].finished_speed or self._bar.tasks[0].speed
        if speed:
            self._bar.update(self._task, rate=f"{speed:.0f}/s")

    def end(self) -> None:
        """Take the bar down; what it showed last stays."""
        self._bar.stop()


class LineProgress:
    """A line every ``seconds`` by ``write``."""

    def __init__(
        self,
        write: Callable[[str], None] | None = None,
        seconds: float = _SECONDS_BETWEEN_LINES,
    ) -> None:
        self._write, self._seconds = write or _write_stderr, seconds
        self._unit = ""
        self._total = self._count = 0
        self._start = self._last_line = 0.0

    def note(self, text: str) -> None:
        """Print a line."""
        self._write(plain_lines(text))

    def begin(self, unit: str, total: int) -> None:
        """Start counting to ``total`` of ``unit``."""
        self._unit, self._total, self._count = unit, total, 0
        self._start = self._last_line = time.monotonic()

    def advance(self, count: int) -> None:
        """Count ``count`` more as done."""
        self._count += count
        now = time.monotonic()
        if self._count and now - self._last_line >= self._seconds:
            self._last_line = now
            rate = self._count / (now - self._start)
            remaining = (self._total - self._count) / rate
            self._print_state(f"{rate:.0f}/s, {remaining:.0f} s left")

    def end(self) -> None:
        """Print the final count."""
        elapsed = max(time.monotonic() - self._start, 1e-9)
        self._print_state(f"{self._count / elapsed:.0f}/s, {elapsed:.1f} s")

    def _print_state(self, rate: str) -> None:
        self._write(f"{self._unit}: {self._count}/{self._total}, {rate}")


class SeveralProgress:
    """Each of ``several``, one after the other."""

    def __init__(self, *several: Progress) -> None:
        self._several = several

    def note(self, text: str) -> None:
        """As :class:`Progress` has it."""
        for progress in self._several:
            progress.note(text)

    def begin(self, unit: str, total: int) -> None:
        """As :class:`Progress` has it."""
        for progress in self._several:
            progress.begin(unit, total)

    def advance(self, count: int) -> None:
        """As :class:`Progress` has it."""
        for progress in self._several:
            progress.advance(count)

    def end(self) -> None:
        """As :class:`Progress` has it."""
        for progress in self._several:
            progress.end()


def _write_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def stderr_progress(*others: Progress) -> Progress:
    """The bar where stderr is a terminal, the lines where it is not; of a command with a log file
    lines in that, too. ``others`` are told as well."""
    several: list[Progress] = [TerminalProgress() if sys.stderr.isatty() else LineProgress()]
    if is_logged():
        several.append(LineProgress(log_lines, _SECONDS_IN_LOG))
    several += others
    return several[0] if len(several) == 1 else SeveralProgress(*several)


def print_report(data: dict[str, Any] | None, text: str) -> None:
    """The text to stdout; with ``data``, that as JSON to stdout and the text to stderr."""
    log_lines(text)
    if data is not None:
        typer.echo(json.dumps(data))
    typer.echo(plain_lines(text), err=data is not None)


def end_command(
    report: _Report,
    as_dict: Callable[[_Report], dict[str, Any]],
    summary_text: Callable[[_Report], str],
    as_json: bool,
) -> NoReturn:
    """Print what a job did, for people or with ``as_json`` for programs, and exit by its code."""
    print_report(as_dict(report) if as_json else None, summary_text(report))
    raise typer.Exit(report.exit_code)


def print_lines(result: dict[str, Any] | list[str]) -> None:
    """Lines, or one JSON result, to stdout."""
    for line in result if isinstance(result, list) else [json.dumps(result)]:
        typer.echo(plain_lines(line))


def print_log(line: str) -> None:
    """What is no result, to stderr."""
    typer.echo(plain_lines(line), err=True)
