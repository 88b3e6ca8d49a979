"""``fastcam gallery``: the page for a folder of figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fastcam.errors import one_line


def gallery(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Output folder of `fastcam render`.")
    ],
) -> None:
    """Rebuild index.html for the figures in DIR, and print its path.

    Each run of `fastcam render` does so at its end: this is for folders whose figures were moved
    or removed since, or made by an older fastcam.
    """
    from fastcam.jobs.render.gallery import write_page

    typer.echo(one_line(str(write_page(folder))))
