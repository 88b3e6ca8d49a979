"""The ``fastcam`` command: its subcommands, and the one place where errors become one line."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

import typer

from fastcam.cli import (
    analyze,
    demo,
    doctor,
    evaluate,
    explain,
    export,
    gallery,
    infer,
    inspect,
    render,
    vit,
)
from fastcam.errors import FastcamError, one_line

app = typer.Typer(
    name="fastcam",
    help="See what a vision model looked at, for a whole test set.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# What is kept where a command that goes on with a stopped run is stopped.
_KEPT = {
    "infer": "finished batches are",
    "render": "finished figures are",
    "evaluate": "finished batches are",
    "analyze": "what is finished is",
}


def _stoppable(command: Callable[..., None], kept: str) -> Callable[..., None]:
    """The command with Ctrl-C as a line that says what is kept in its ``output_dir``."""

    @wraps(command)
    def stoppable(**options: Any) -> None:
        try:
            command(**options)
        except KeyboardInterrupt:
            # Zarr's own threads would grumble about what they were doing.
            logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
            typer.echo(
                f"fastcam: stopped; {kept} kept in {options['output_dir']}: run the same command "
                "again to go on",
                err=True,
            )
            raise typer.Exit(130) from None

    return stoppable


for _command in (
    demo.demo,
    infer.infer,
    render.render,
    explain.explain,
    vit.vit,
    evaluate.evaluate,
    analyze.analyze,
    export.export,
    gallery.gallery,
    inspect.inspect,
    doctor.doctor,
):
    _name = _command.__name__
    app.command(_name)(_stoppable(_command, _KEPT[_name]) if _name in _KEPT else _command)


def _show_version(requested: bool) -> None:
    if requested:
        from fastcam._version import __version__

        typer.echo(f"fastcam {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    pass


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, *_rest: Any, **_named: Any
) -> None:
    """fastcam's own warnings as one line; those of libraries are for their developers."""
    if issubclass(category, UserWarning) and "fastcam" in filename:
        print(f"fastcam: warning: {one_line(str(message))}", file=sys.stderr)  # noqa: T201


def run() -> None:
    """Run the command line; exit codes as in the README."""
    warnings.showwarning = _show_warning
    # Batch systems end a job that is out of time by SIGTERM: leave the records true, as on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(prog_name="fastcam")
    except FastcamError as error:
        print(f"fastcam: {one_line(str(error))}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("fastcam: stopped", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; that is no error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        # Such as a full disk behind `fastcam ... > file`.
        where = f"{error.filename}: " if error.filename else ""
        print(one_line(f"fastcam: {where}{error.strerror or error}"), file=sys.stderr)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    run()
