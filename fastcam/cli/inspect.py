"""``fastcam inspect``: what is in a file, without running anything from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fastcam.cli import model_options as opt
from fastcam.errors import InputError, one_line

_ROWS = 20
_FILE_WIDTH = 200  # columns where output goes to a file or pipe, which does not wrap


def inspect(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Results file, run store or checkpoint."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Instead of FILE: list this model's layers with maps.")
    ] = None,
    checkpoint: opt.Checkpoint = None,
    num_classes: opt.NumClasses = None,
    in_channels: opt.InChannels = None,
    image_size: opt.ImageSize = None,
    allow_partial: opt.AllowPartial = False,
    use_mab: opt.UseMab = False,
    use_ocab: opt.UseOcab = False,
    use_drff: opt.UseDrff = False,
    arch: opt.Arch = None,
    patch_size: opt.PatchSize = None,
    rows: Annotated[int, typer.Option(min=0, help="Rows of the table to show; 0 for all.")] = _ROWS,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON result to stdout.")
    ] = False,
) -> None:
    """Tell what is in FILE, running nothing from it; or which layers of a model have maps."""
    if (file is None) == (model is None):
        raise InputError("give either a FILE or a --model to look into")
    if file is not None:
        from fastcam.jobs.inspect.inventory import describe

        found = describe(file)
    else:
        from fastcam.api.models import describe_model
        from fastcam.cli.parsing import fewshot_of, size_of

        found = describe_model(
            str(model), checkpoint, num_classes=num_classes, in_channels=in_channels,
            image_size=size_of(image_size), allow_partial=allow_partial,
            fewshot=fewshot_of(use_mab, use_ocab, use_drff, arch, patch_size),
        )  # fmt: skip
        rows = 0
    if as_json:
        typer.echo(json.dumps(found.to_dict()))
        return
    typer.echo(one_line(f"{found.path}: {found.kind}"))
    width = max((len(what) for what, _ in found.summary), default=0)
    for what, value in found.summary:
        typer.echo(one_line(f"  {what:<{width}}  {value}"))
    if found.table:
        shown = found.table if rows == 0 else found.table[:rows]
        _print_table(found.columns, shown)
        if len(shown) < len(found.table):
            typer.echo(f"  and {len(found.table) - len(shown)} more; --rows 0 shows all")
    for rejected in found.rejected:
        typer.echo(one_line(f"error: case {rejected.place} {rejected.name}: {rejected.reason}"))
    for warned in found.warnings:
        typer.echo(one_line(f"warning: case {warned.place} {warned.name}: {warned.reason}"))


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
