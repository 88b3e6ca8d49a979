"""``fastcam status``: how far a run is, asked of another terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fastcam.cli.run_options import PlainJson
from fastcam.cli.terminal import print_report


def status(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Output folder of a run of infer, render, evaluate or analyze."
        ),
    ],
    as_json: PlainJson = False,
) -> None:
    """Show how far the run is that writes into DIR, or how it ended; the run isn't disturbed.

    What is done and left, images or figures a second, the time left, and failures so far. A run
    whose process was killed is told from one that runs, on the machine that it ran on.
    """
    from fastcam.api.status import status as read_status
    from fastcam.jobs.inspect.run_state import state_dict, state_text

    state = read_status(folder)
    print_report(state_dict(folder, state) if as_json else None, state_text(folder, state))
