"""``fastcam inspect``: what is in a file, without running anything from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fastcam.cli.model_options import Checkpoint, FewshotParts, LoadOptions
from fastcam.cli.option_groups import expand_groups, keywords
from fastcam.cli.run_options import PlainJson
from fastcam.errors import InputError, one_line

_ROWS = 20
_FILE_WIDTH = 200  # columns where output goes to a file or pipe, which does not wrap


@expand_groups
def inspect(
    *,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="Results file, run store, checkpoint, NIfTI file, DICOM file or folder.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Instead of FILE: list this model's layers with maps.")
    ] = None,
    checkpoint: Checkpoint = None,
    loading: LoadOptions,
    parts: FewshotParts,
    rows: Annotated[int, typer.Option(min=0, help="Rows of the table to show; 0 for all.")] = _ROWS,
    as_json: PlainJson = False,
) -> None:
    """Show FILE's contents without executing anything, or the layers of a model that have maps."""
    if (file is None) == (model is None):
        raise InputError("give either a FILE or a --model to look into")
    if file is not None:
        from fastcam.jobs.inspect.inventory import describe

        inventory = describe(file)
    else:
        from fastcam.api.models import describe_model

        inventory = describe_model(str(model), checkpoint, **keywords(parts, loading))
        rows = 0
    if as_json:
        typer.echo(json.dumps(inventory.to_dict()))
        return
    typer.echo(one_line(f"{inventory.path}: {inventory.kind}"))
    width = max((len(name) for name, _ in inventory.summary), default=0)
    for name, value in inventory.summary:
        typer.echo(one_line(f"  {name:<{width}}  {value}"))
    if inventory.table:
        visible = inventory.table if rows == 0 else inventory.table[:rows]
        _print_table(inventory.columns, visible)
        if len(visible) < len(inventory.table):
            typer.echo(f"  and {len(inventory.table) - len(visible)} more; --rows 0 shows all")
    for rejected in inventory.rejected:
        typer.echo(one_line(f"error: case {rejected.place} {rejected.name}: {rejected.reason}"))
    for note in inventory.notes:
        typer.echo(one_line(f"warning: {note}"))
    for warning in inventory.warnings:
        typer.echo(one_line(f"warning: case {warning.place} {warning.name}: {warning.reason}"))


def _print_table(columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=True)
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=_FILE_WIDTH)
    console.print(table, highlight=False)


def _cell(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else one_line(str(value))
