"""``fastcam demo``: the whole road on a test set that fastcam makes, offline, without any input."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fastcam.cli.terminal import stderr_progress


def demo(
    output_dir: Annotated[
        Path, typer.Option(help="Folder for the test set, the model and the figures.")
    ] = Path("fastcam-demo"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Few cases, hardly trained: to see that all works.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers on this machine; default: all cores.")
    ] = None,
) -> None:
    """Train a small patch-attention model, run it over a test set, draw what it looked at.

    Everything is made here: volumes with and without a lesion, masks, labels; no network, no input.
    Then the seven views of the small Vision Transformer that comes with fastcam.
    """
    from fastcam.demo.job import DemoSize, run_demo
    from fastcam.demo.vit import summary
    from fastcam.jobs.render.gallery import PAGE

    quick_size = DemoSize(train_cases=6, test_cases=4, epochs=1, vit_images=12, vit_shown=1)
    size = quick_size if quick else DemoSize()
    result = run_demo(output_dir, size, workers, typer.echo, stderr_progress())
    score = result.lesions
    typer.echo(
        f"\non the {size.test_cases} test cases, which the model has not seen:\n"
        f"  accuracy                                 {score.accuracy:.3f}"
        f"   (the commoner label alone: {score.majority:.3f})\n"
        f"  patch of highest weight on the lesion    {score.hits:.3f}"
        f"   (a patch at random: {score.chance_hits:.3f})"
    )
    typer.echo(summary(result.shapes))
    typer.echo(
        f"\nlook at {output_dir / 'best_slice' / PAGE} first,\n"
        f"then at the views of the Vision Transformer in {output_dir / 'vit'}"
    )
