"""The ``fastcam`` command: its subcommands, and the one place where errors become one line."""

from __future__ import annotations

import logging
import os
import platform
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import wraps
from inspect import cleandoc
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
    help,
    infer,
    inspect,
    render,
    review,
    status,
    view,
    vit,
)
from fastcam.cli.help_levels import FIRST_OPTIONS, short_help, with_help_all
from fastcam.cli.log_file import log_lines, with_log_file
from fastcam.cli.lost_terminal import outlive_terminal
from fastcam.cli.run_options import RUN
from fastcam.cli.url_arguments import with_urls
from fastcam.errors import FastcamError, one_line, option_messages

app = typer.Typer(
    name="fastcam",
    help="See what a vision model looked at, for a whole test set.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Without which a report of an error can't be understood.
_VERSIONS = (
    *("torch", "numpy", "numba", "zarr", "dask", "pillow", "pillow-simd", "nibabel", "pydicom"),
    *("timm", "torchvision", "transformers", "monai"),
)
# Of commands that go on with a stopped run: what stays of it.
_RESUMABLE = {
    "infer": "finished batches are",
    "render": "finished figures are",
    "evaluate": "finished batches are",
    "analyze": "what is finished is",
    "export": "finished files are",
}


def _stoppable(command: Callable[..., None], rest: str) -> Callable[..., None]:
    """The command with Ctrl-C as a line, which Typer would pass over in silence; it says what is
    kept in the ``output_dir``, if the command goes on with it: ``rest``, else empty."""

    @wraps(command)
    def stoppable(**options: Any) -> None:
        try:
            command(**options)
        except KeyboardInterrupt:
            # Zarr's own threads would grumble about what they were doing.
            logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
            remedy = (
                f"; {rest} kept in {options['output_dir']}: run the same command again to go on"
                if rest
                else ""
            )
            typer.echo(one_line(f"fastcam: stopped{remedy}"), err=True)
            raise typer.Exit(130) from None

    return stoppable


# The commands by panel of `fastcam --help`.
_COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    "From a model or a results file": (
        infer.infer,
        render.render,
        explain.explain,
        vit.vit,
        evaluate.evaluate,
        analyze.analyze,
    ),
    "What to do with the results": (
        status.status,
        export.export,
        gallery.gallery,
        view.view,
        review.review,
        inspect.inspect,
    ),
    "Start and help": (demo.demo, doctor.doctor, help.help_),
}


def _add(command: Callable[..., None], panel: str) -> None:
    name = command.__name__.rstrip("_")
    options: dict[str, Any] = {"rich_help_panel": panel, "help": _prose(command.__doc__ or "")}
    if name in _RESUMABLE:
        command = with_log_file(command, RUN if name in FIRST_OPTIONS else None)
    command = _stoppable(with_urls(command), _RESUMABLE.get(name, ""))
    if name in FIRST_OPTIONS:
        command, options["cls"] = with_help_all(command), short_help(name)
    app.command(name, **options)(command)


def _prose(text: str) -> str:
    """A docstring whose paragraphs the terminal wraps, however wide it is."""
    paragraphs = cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


for _panel, _commands in _COMMANDS.items():
    for _command in _commands:
        _add(_command, _panel)


def _show_version(requested: bool) -> None:
    if requested:
        for line in _version_lines():
            typer.echo(line)
        raise typer.Exit


def _version_lines() -> Iterator[str]:
    """What a report of an error should name; nothing of it is imported."""
    from importlib import metadata

    from fastcam._version import __version__

    yield f"fastcam {__version__}"
    yield f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    versions = []
    for name in _VERSIONS:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    yield ", ".join(versions)


@app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show versions and exit."
    ),
) -> None:
    pass


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, *_rest: Any, **_named: Any
) -> None:
    """fastcam's own warnings as one line; those of libraries are for their developers."""
    if issubclass(category, UserWarning) and "fastcam" in filename:
        print(f"fastcam: warning: {one_line(str(message))}", file=sys.stderr)  # noqa: T201
        log_lines(f"warning: {message}")


def run() -> None:
    """Run the command line; exit codes as docs/reference and `fastcam help resume` list them."""
    warnings.showwarning = _show_warning
    outlive_terminal()
    # Batch systems end a job that is out of time by SIGTERM, and a terminal or SSH connection that
    # is closed sends SIGHUP, unless nohup has it ignored: leave the records true, as on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        with option_messages():
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
