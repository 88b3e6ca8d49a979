"""The command itself: help, version, wrong usage, and errors as one line."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

from fastcam import __version__
from fastcam.cli import inspect

COMMANDS = ("demo", "render", "gallery", "inspect", "doctor")
Call = Callable[..., Any]


def _start(*args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fastcam.cli.main", *args]
    return subprocess.run(command, text=True, check=False, **options)


def test_without_arguments_there_is_help(fastcam: Call) -> None:
    outcome = fastcam()
    assert outcome.code == 2
    for command in COMMANDS:
        assert command in outcome.out + outcome.err


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("command", [(), *((command,) for command in COMMANDS)])
def test_help(fastcam: Call, command: tuple[str, ...], option: str) -> None:
    outcome = fastcam(*command, option)
    assert outcome.code == 0
    assert "Usage: fastcam" in outcome.out


def test_version(fastcam: Call) -> None:
    outcome = fastcam("--version")
    assert outcome.code == 0
    first, second, third = outcome.out.splitlines()
    assert first == f"fastcam {__version__}"
    assert second.startswith(f"Python {platform.python_version()}, ")
    assert f"numpy {numpy.__version__}" in third.split(", ")


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("--bogus",), "--bogus"),
        (("bogus",), "bogus"),
        *(((command, "--bogus"), "--bogus") for command in COMMANDS),
        (("render",), "RESULTS"),
        (("inspect",), "FILE"),
        (("render", "r.pkl"), "--output-dir"),
        (("render", "r.pkl", "--root-dir", "x"), "--output-dir"),
        (("demo", "--cases", "0"), "--cases"),
        (("demo", "--workers", "none"), "--workers"),
        (("inspect", "r.pkl", "--rows", "-1"), "--rows"),
    ],
)
def test_wrong_usage(
    fastcam: Call, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], word: str
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    outcome = fastcam(*args)
    assert outcome.code == 2
    assert word in outcome.err
    assert outcome.out == ""


def test_an_error_is_one_line_without_terminal_codes(fastcam: Call, tmp_path: Path) -> None:
    outcome = fastcam("inspect", tmp_path / "a\x1b[2J\nb.pkl")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "\\x1b[2J\\nb.pkl" in outcome.err


def test_ctrl_c_anywhere(fastcam: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fastcam.jobs.inspect.inventory.describe", stop)
    assert callable(inspect.inspect)
    outcome = fastcam("inspect", "r.pkl")
    assert outcome.code == 130
    assert "Traceback" not in outcome.err


def test_a_reader_that_goes_away_is_no_error(neck: Any) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        done = _start("inspect", str(neck.results), stdout=pipe, stderr=subprocess.PIPE)
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_to_a_full_disk(neck: Any) -> None:
    with Path("/dev/full").open("w") as full:
        done = _start("inspect", str(neck.results), stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == "fastcam: No space left on device\n"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['fastcam', 'render', '--help']\n"
        "from fastcam.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numba', 'zarr', 'dask', 'distributed', 'matplotlib', 'scipy', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stderr == "[]\n"
