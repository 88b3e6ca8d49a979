"""A terminal that is closed while a command runs: what is said to it is lost, and no error."""

from __future__ import annotations

import errno
import io
import sys
from typing import Any, TextIO


class _Terminal(io.FileIO):
    """What is written after the terminal was closed goes nowhere."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return len(data)


def outlive_terminal() -> None:
    """Let the command go on where its terminal is gone: SIGHUP ends it in order, and a job that
    gets none, as after ``disown``, runs to its end."""
    for name in ("stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is not None and stream.isatty():
            setattr(sys, name, _outliving(stream))


def _outliving(stream: TextIO) -> TextIO:
    raw = _Terminal(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=True
    )
