"""``fastcam review``: what readers have said in the reading room."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fastcam.cli.run_options import PlainJson
from fastcam.cli.terminal import print_report

Option = typer.Option


def review(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR...", help="Folders, or files, that `fastcam view` wrote judgements into."
        ),
    ],
    run: Annotated[
        Path | None,
        Option(
            help="Run that says which predictions are right; default: the one beside the "
            "judgements."
        ),
    ] = None,
    as_json: PlainJson = False,
) -> None:
    """Summarize judgements: marks by reader, agreement (kappa), marks at right and wrong cases."""
    from fastcam.api.view import review as run_review
    from fastcam.jobs.view.review_summary import summary_text

    summary = run_review(folders, run=run)
    print_report(summary.to_dict() if as_json else None, summary_text(summary))
