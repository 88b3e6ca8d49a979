"""The ``fastcam`` command: its subcommands, and the one place where errors become one line."""

from __future__ import annotations

import os
import signal
import sys
import warnings
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
app.command("demo")(demo.demo)
app.command("infer")(infer.infer)
app.command("render")(render.render)
app.command("explain")(explain.explain)
app.command("vit")(vit.vit)
app.command("evaluate")(evaluate.evaluate)
app.command("analyze")(analyze.analyze)
app.command("export")(export.export)
app.command("gallery")(gallery.gallery)
app.command("inspect")(inspect.inspect)
app.command("doctor")(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        from fastcam._version import __version__

        typer.echo(f"fastcam {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    pass


def _warned(
    message: Warning | str, category: type[Warning], filename: str, *_rest: Any, **_named: Any
) -> None:
    """fastcam's own warnings as one line; those of libraries are for their developers."""
    if issubclass(category, UserWarning) and "fastcam" in filename:
        print(f"fastcam: warning: {one_line(str(message))}", file=sys.stderr)  # noqa: T201


def run() -> None:
    """Run the command line; exit codes as in the README."""
    warnings.showwarning = _warned
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
