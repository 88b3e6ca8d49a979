"""The Vision Transformer demo: the shipped model on pictures it has not seen, with its score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import typer
from numpy.typing import NDArray

from fastcam.demo.shapes_set import (
    CLASSES,
    TRAINING_SEED,
    ShapesSet,
    make_shapes,
    on_object,
    peaks_on_object,
)
from fastcam.errors import InputError
from fastcam.figures.files import write_picture
from fastcam.jobs.vit.job import write_views
from fastcam.jobs.vit.request import ViewChoice
from fastcam.read.inputs.inputs import Item
from fastcam.run.files import make_folder

if TYPE_CHECKING:
    pass

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = Path(__file__).with_name("vit_demo.safetensors")
HELD_OUT_SEED = 1
_BATCH = 50


@dataclass(frozen=True, slots=True)
class VitDemoScore:
    """Shares of ``images`` held-out pictures, and beside each what a guess would reach.

    ``accuracy``: predicted right; ``chance_accuracy``: the share of the commonest class.
    ``attention_hits`` and ``rollout_hits``: those in which the patch of highest CLS attention (last
    layer, mean of heads), or of highest rollout, lies on the object (:func:`on_object`), however
    they were predicted; ``chance_hits``: the share of a picture's patches that do, mean;
    ``brightest_hits``: the same of the brightest patch, which needs no model.
    """

    images: int
    accuracy: float
    chance_accuracy: float
    attention_hits: float
    rollout_hits: float
    chance_hits: float
    brightest_hits: float


def run_vit_demo(
    output_dir: Path,
    told: Callable[[str], None] = lambda line: None,
    *,
    images: int = 600,
    shown: int = 3,
    seed: int = HELD_OUT_SEED,
) -> VitDemoScore:
    """Write ``shown`` pictures to ``output_dir/images`` and their views to ``output_dir``, and
    score the model on ``images`` pictures, these among them.

    ``told`` gets what is done, with the command that would do it. InputError for too few pictures,
    and for the seed of training; OutputError where a file can't be written.
    """
    from fastcam.demo.train_vit import MODEL_NAME
    from fastcam.models.preprocessing import preprocessing_of

    if seed == TRAINING_SEED:
        raise InputError(f"seed {seed} is what the model was trained on: give another one")
    if not 0 <= shown <= images:
        raise InputError(f"{shown} pictures to show: must be 0 to {images}, the pictures made")
    model = load_demo_model()
    made = make_shapes(images, seed)
    told(f"{images} pictures of one object among clutter, which the model has not seen")
    paths = write_images(made, output_dir / "images", shown)
    if paths:
        told(
            f"fastcam vit {output_dir / 'images'} --model {MODEL_NAME} --checkpoint {WEIGHTS} "
            f"--output-dir {output_dir}"
        )
        items = [Item(path.stem, "", path) for path in paths]
        write_views(model, items, preprocessing_of(model), output_dir, ViewChoice(), told=told)
    return score_vit(model, made)


def load_demo_model() -> nn.Module:
    """The Vision Transformer that ships with fastcam, in eval mode: 80x80 pixels, 10x10 patches,
    four layers of four heads, a class token. ``python -m fastcam.demo.train_vit`` made it."""
    from fastcam.demo.train_vit import MODEL_NAME
    from fastcam.models.named import load_model

    return load_model(MODEL_NAME, WEIGHTS)


def write_images(made: ShapesSet, folder: Path, count: int) -> list[Path]:
    """The first ``count`` pictures as PNG, named by place and class; their paths."""
    make_folder(folder)
    paths = []
    for place in range(count):
        paths.append(folder / f"{place + 1:02d}_{CLASSES[made.labels[place]]}.png")
        write_picture(paths[-1], made.images[place], "png")
    return paths


def score_vit(model: nn.Module, made: ShapesSet) -> VitDemoScore:
    """How ``model`` does on ``made``, and where it looks."""
    predicted, attention, rolled = look(model, made.images)
    n, h, w = attention.shape
    high, wide = made.masks.shape[1:]
    brightness = made.images.reshape(n, h, high // h, w, wide // w, 3).mean(axis=(2, 4, 5))
    return VitDemoScore(
        images=n,
        accuracy=float(np.mean(predicted == made.labels)),
        chance_accuracy=float(np.bincount(made.labels).max()) / n,
        attention_hits=float(peaks_on_object(attention, made.masks).mean()),
        rollout_hits=float(peaks_on_object(rolled, made.masks).mean()),
        chance_hits=float(on_object(made.masks, (h, w)).mean()),
        brightest_hits=float(peaks_on_object(brightness, made.masks).mean()),
    )


def look(
    model: nn.Module, images: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Predicted classes (n,), CLS attention of the last layer, mean of heads, and rollout, both
    (n, h, w) float32 over the patches, of pictures (n, H, W, 3) uint8."""
    import torch

    from fastcam.attribution.attention.rollout import rollout
    from fastcam.attribution.attention.vit_pass import run_vit
    from fastcam.demo.train_vit import normalised

    predicted, attention, rolled = [], [], []
    for start in range(0, len(images), _BATCH):
        seen = run_vit(model, normalised(images[start : start + _BATCH]))
        layers = [layer.attention for layer in seen.layers]
        rows = layers[-1].row(0).mean(dim=1), rollout(layers)
        patches = [row[:, seen.prefix :].reshape(-1, *seen.grid) for row in rows]
        predicted.append(seen.output.argmax(dim=1))
        attention.append(patches[0])
        rolled.append(patches[1])
    return torch.cat(predicted).numpy(), torch.cat(attention).numpy(), torch.cat(rolled).numpy()


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
