"""``fastcam gallery``: the page for a folder of figures, or for two side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fastcam.errors import one_line

Option = typer.Option


def gallery(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Output folder of `fastcam render`.")
    ],
    other: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]",
            help="That of another run of the same cases, shown beside it.",
            show_default=False,
        ),
    ] = None,
    table: Annotated[
        Path | None,
        Option(
            help="Further columns to filter the cases by (.csv, .xlsx, …), joined by their ids."
        ),
    ] = None,
    id_column: Annotated[
        str | None,
        Option(help="Column of --table that has the ids; default: the one that fits most."),
    ] = None,
) -> None:
    """Rebuild index.html for the figures in DIR, and print its path.

    Each run of `fastcam render` does so at its end: this is for folders whose figures were moved
    or removed since, for a --table of further columns, and for two runs beside each other, whose
    page compare-NAME.html lies in the first DIR.
    """
    from fastcam.jobs.render.gallery import write_page

    typer.echo(one_line(str(write_page(folder, other, table, id_column))))
