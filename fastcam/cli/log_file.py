"""``--log-file``: what a command says, in a file with the time before each line."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import IO, Annotated, Any, get_type_hints

import typer

from fastcam._version import __version__
from fastcam.errors import FastcamError, InputError, one_line, plain_lines
from fastcam.storage.object_path import ObjectPath

_HELP = "Also append what is said here to FILE, with the time before each line."
# Those of the command that runs: one at most.
_files: list[IO[str]] = []


def is_logged() -> bool:
    """Whether the command that runs has a log file."""
    return bool(_files)


def log_lines(text: str) -> None:
    """Append ``text`` to the log file, if there is one.

    A disk that is full ends the log, not the run.
    """
    for file in _files:
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        with contextlib.suppress(OSError):
            file.write("".join(f"{now} {line}\n" for line in plain_lines(text).split("\n")))
            file.flush()


def with_log_file(command: Callable[..., None], panel: str | None) -> Callable[..., None]:
    """The command with the option ``--log-file`` in a ``panel`` of its help."""

    @wraps(command)
    def logging_command(**options: Any) -> None:
        path = options.pop("log_file")
        with _logged(path) if path is not None else contextlib.nullcontext():
            command(**options)

    option = typer.Option(metavar="FILE", help=_HELP, rich_help_panel=panel)
    hints = get_type_hints(command, include_extras=True)
    hints["log_file"] = annotation = Annotated[Path | None, option]
    own = signature(command)
    added = Parameter("log_file", Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
    parameters = [p.replace(annotation=hints[name]) for name, p in own.parameters.items()]
    vars(logging_command)["__signature__"] = own.replace(parameters=[*parameters, added])
    logging_command.__annotations__ = hints
    return logging_command


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[None]:
    """``path`` is the log file within the block; how that ends is its last line."""
    if isinstance(path, ObjectPath):
        raise InputError(
            f"--log-file {path}: lines are added to a log, and objects are put whole; give a file "
            "of this machine"
        )
    try:
        # Line ends as they are, and what UTF-8 can't hold escaped.
        file = path.open("a", encoding="utf-8", errors="backslashreplace", newline="")
    except OSError as error:
        raise InputError(
            f"--log-file {path}: can't be written: {error.strerror}; give a file in a folder that "
            "exists"
        ) from error
    with file:
        _files.append(file)
        try:
            log_lines(one_line(f"fastcam {__version__}: {shlex.join(sys.argv[1:])}"))
            yield
            log_lines("ended with exit code 0")
        except typer.Exit as end:
            log_lines(f"ended with exit code {end.exit_code}")
            raise
        except KeyboardInterrupt:
            log_lines("stopped by Ctrl-C or a signal; the same command goes on")
            raise
        except FastcamError as error:
            log_lines(f"error: {one_line(str(error))}")
            raise
        except BaseException as error:
            log_lines(f"error: {type(error).__name__}: {one_line(str(error))}")
            raise
        finally:
            _files.remove(file)
