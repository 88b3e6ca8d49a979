"""What a command prints at its end: lines for people, or one JSON result."""

from __future__ import annotations

import json
from typing import Any

import typer

from fastcam.errors import plain_lines


def print_report(data: dict[str, Any] | None, text: str) -> None:
    """The text to stdout; with ``data``, that as JSON to stdout and the text to stderr."""
    if data is not None:
        typer.echo(json.dumps(data))
    typer.echo(plain_lines(text), err=data is not None)


def print_lines(result: dict[str, Any] | list[str]) -> None:
    """Lines, or one JSON result, to stdout."""
    for line in result if isinstance(result, list) else [json.dumps(result)]:
        typer.echo(plain_lines(line))


def print_log(line: str) -> None:
    """What is no result, to stderr."""
    typer.echo(plain_lines(line), err=True)
