"""What ``fastcam vit`` and ``fastcam demo`` say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from fastcam.vitdemo import VitDemoScore


def noted(line: str) -> None:
    """What isn't the result goes to stderr."""
    typer.echo(line, err=True)


def said(score: VitDemoScore) -> str:
    """How the demo's model does, each rate beside what a guess would reach."""
    return (
        f"\non {score.images} pictures that the Vision Transformer has not seen:\n"
        f"  accuracy                                      {score.accuracy:.3f}"
        f"   (the commonest class alone: {score.chance_accuracy:.3f})\n"
        f"  patch of highest CLS attention on the object  {score.attention_hits:.3f}"
        f"   (a patch at random: {score.chance_hits:.3f})\n"
        f"  patch of highest rollout on the object        {score.rollout_hits:.3f}"
        f"   (a patch at random: {score.chance_hits:.3f})\n"
        f"  brightest patch on the object, without model  {score.brightest_hits:.3f}"
    )
