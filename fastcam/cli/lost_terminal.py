"""A terminal that is closed while a command runs: what is said to it is lost, and no error."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from typing import Any, TextIO

# Of a terminal, and of a pipe that nobody reads any more.
_NOBODY_READS = (errno.EIO, errno.EPIPE)


class _Lost(io.FileIO):
    """What is written after whoever read it is gone goes nowhere."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _NOBODY_READS:
                raise
            return len(data)


def outlive_terminal() -> None:
    """Let the command go on where its terminal is gone: SIGHUP ends it in order, and a job that
    gets none, as after ``disown``, runs to its end.

    So it does where the program that stderr is piped to has ended, such as ``tee`` or the run that
    this one draws the figures of; of stdout that is an error, as of ``fastcam ... | head``.
    """
    for name in ("stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            continue
        if stream.isatty() or (name == "stderr" and _is_pipe(stream)):
            setattr(sys, name, _outliving(stream))


def _is_pipe(stream: TextIO) -> bool:
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _outliving(stream: TextIO) -> TextIO:
    raw = _Lost(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=True
    )
