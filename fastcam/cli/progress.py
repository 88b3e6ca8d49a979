"""Progress on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

from fastcam.errors import plain_lines

# Log files want few lines; a person wants a sign of life.
_SECONDS_BETWEEN_LINES = 5.0


class TerminalProgress:
    """A bar with a rate and the time left."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None

    def note(self, text: str) -> None:
        """Print a line."""
        print(plain_lines(text), file=sys.stderr, flush=True)  # noqa: T201

    def begin(self, what: str, total: int) -> None:
        """Start a bar for ``total`` of ``what``."""
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
        self._task = self._bar.add_task(what, total=total, rate="")

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
    """A line every few seconds."""

    def __init__(self) -> None:
        self._what = ""
        self._total = self._done = 0
        self._start = self._last_line = 0.0

    def note(self, text: str) -> None:
        """Print a line."""
        print(plain_lines(text), file=sys.stderr, flush=True)  # noqa: T201

    def begin(self, what: str, total: int) -> None:
        """Start counting to ``total`` of ``what``."""
        self._what, self._total, self._done = what, total, 0
        self._start = self._last_line = time.monotonic()

    def advance(self, count: int) -> None:
        """Count ``count`` more as done."""
        self._done += count
        now = time.monotonic()
        if self._done and now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            rate = self._done / (now - self._start)
            left = (self._total - self._done) / rate
            self._print_state(f"{rate:.0f}/s, {left:.0f} s left")

    def end(self) -> None:
        """Print the final count."""
        elapsed = max(time.monotonic() - self._start, 1e-9)
        self._print_state(f"{self._done / elapsed:.0f}/s, {elapsed:.1f} s")

    def _print_state(self, rate: str) -> None:
        print(f"{self._what}: {self._done}/{self._total}, {rate}", file=sys.stderr, flush=True)  # noqa: T201


def for_stderr() -> TerminalProgress | LineProgress:
    """The bar where stderr is a terminal, the lines where it is not."""
    return TerminalProgress() if sys.stderr.isatty() else LineProgress()
