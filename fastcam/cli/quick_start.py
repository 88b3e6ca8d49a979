"""``fastcam analyze`` without arguments: model and images are found nearby, and confirmed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from fastcam.errors import InputError, one_line

_MOST_FOLDERS = 9
_EXAMPLE = "fastcam analyze --model resnet50 --checkpoint best.pth --images FOLDER"


@dataclass(frozen=True)
class QuickStart:
    """The model, its weights and the images that were agreed on."""

    model: str
    checkpoint: Path | None
    images: tuple[Path, ...]


def quick_start(
    model: str | None, checkpoint: Path | None, images: tuple[Path, ...], folder: Path
) -> QuickStart:
    """What is missing of model, checkpoint and images, found below ``folder`` and agreed on.

    InputError that says what is missing where nobody can be asked: stdin or stderr is no terminal.
    """
    from fastcam.jobs.analyze.discovery import find_candidates

    near = find_candidates(folder)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(_missing_text(model, images, near.checkpoint, list(near.folders)))
    if not images and not near.folders:
        raise InputError(f"no folder of images below {folder}: name one with --images")
    if checkpoint is None and near.checkpoint is not None:
        typer.echo(one_line(f"newest checkpoint: {near.checkpoint}"), err=True)
        if typer.confirm("use it?", default=True, err=True):
            checkpoint = near.checkpoint
    if not images:
        images = (_ask_folder(near.folders),)
    if model is None:
        model = typer.prompt("model (a name such as resnet50, or file.py:factory)", err=True)
    return QuickStart(str(model), checkpoint, images)


def _ask_folder(folders: dict[Path, int]) -> Path:
    choices = list(folders.items())[:_MOST_FOLDERS]
    for number, (path, count) in enumerate(choices, 1):
        typer.echo(one_line(f"  {number}  {path}  ({count} images)"), err=True)
    while True:
        choice: int = typer.prompt("which images?", default=1, type=int, err=True)
        if 1 <= choice <= len(choices):
            return choices[choice - 1][0]
        typer.echo(f"a number from 1 to {len(choices)}", err=True)


def _missing_text(
    model: str | None, images: tuple[Path, ...], checkpoint: Path | None, folders: list[Path]
) -> str:
    missing = [name for name, value in (("--model", model), ("--images", images)) if not value]
    near = []
    if checkpoint is not None:
        near.append(f"--checkpoint {checkpoint}")
    if folders and not images:
        near.append(f"--images {folders[0]}")
    hint = f"; found nearby: {' '.join(near)}" if near else ""
    return f"{' and '.join(missing)} missing, as in `{_EXAMPLE}`{hint}"
