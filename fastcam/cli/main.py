"""The ``fastcam`` command: its subcommands, and the one place where errors become one line."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from typing import Any

import typer

from fastcam.cli import (
    analyze_command,
    demo_command,
    doctor_command,
    evaluate_command,
    explain_command,
    export_command,
    gallery_command,
    infer_command,
    inspect_command,
    render_command,
    vit_command,
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
app.command("demo")(demo_command.demo)
app.command("infer")(infer_command.infer)
app.command("render")(render_command.render)
app.command("explain")(explain_command.explain)
app.command("vit")(vit_command.vit)
app.command("evaluate")(evaluate_command.evaluate)
app.command("analyze")(analyze_command.analyze)
app.command("export")(export_command.export)
app.command("gallery")(gallery_command.gallery)
app.command("inspect")(inspect_command.inspect)
app.command("doctor")(doctor_command.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        from fastcam import __version__

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
