"""``fastcam doctor``: what this machine has, and what is wrong with it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fastcam.cli.run_options import PlainJson


def doctor(
    torch: Annotated[
        bool,
        typer.Option("--torch", help="Import PyTorch too and look for a GPU (a second or two)."),
    ] = False,
    as_json: PlainJson = False,
) -> None:
    """Show versions, the image library in use and what it changes, GPU, cores and folders, and
    whether the libraries that models come from (torchvision, timm, MONAI, transformers) load.

    Exit code 1 when something is wrong; what, and its remedy, is said at the end.
    """
    from fastcam.jobs.inspect.doctor import collect

    report = collect(torch=torch, libraries=True)
    if as_json:
        typer.echo(json.dumps(report.to_dict()))
        raise typer.Exit(1 if report.problems else 0)
    for section in report.sections:
        typer.echo(section.name)
        width = max(len(finding.name) for finding in section.findings)
        for finding in section.findings:
            typer.echo(f"  {finding.name:<{width}}  {finding.text}")
        if section.note:
            typer.echo(f"  {section.note}")
    for problem in report.problems:
        typer.echo(f"problem: {problem}", err=True)
    raise typer.Exit(1 if report.problems else 0)
