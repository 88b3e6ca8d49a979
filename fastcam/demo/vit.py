"""The Vision Transformer demo: the shipped model on pictures it has not seen, with its score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fastcam.attribution.attention.rollout import rollout
from fastcam.attribution.attention.vit_pass import run_vit
from fastcam.demo.shapes_set import (
    CLASSES,
    TRAINING_SEED,
    ShapesSet,
    make_shapes,
    on_object,
    peaks_on_object,
)
from fastcam.demo.train_vit import MODEL_NAME
from fastcam.errors import InputError
from fastcam.figures.png_writer import write_picture
from fastcam.jobs.vit.job import write_views
from fastcam.jobs.vit.request import ViewChoice
from fastcam.models.data_config import preprocessing_of
from fastcam.models.registry import load_model
from fastcam.models.training import normalize
from fastcam.read.inputs.inputs import Item
from fastcam.run.files import make_folder

WEIGHTS = Path(__file__).with_name("vit_demo.safetensors")
HELD_OUT_SEED = 1
_BATCH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class VitDemoScore:
    """Shares of held-out pictures, and beside each what a guess would reach.

    A patch lies on the object as :func:`on_object` says, however the picture was predicted.

    Attributes:
        images: how many pictures.
        accuracy: predicted right.
        chance_accuracy: of the commonest class.
        attention_hits: the patch of highest CLS attention (last layer, mean of heads) lies on the
            object.
        rollout_hits: the patch of highest rollout does.
        chance_hits: of a picture's patches, those that lie on the object, mean.
        brightest_hits: the brightest patch lies on the object, which needs no model.
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
    log: Callable[[str], None] = lambda line: None,
    *,
    images: int = 600,
    shown: int = 3,
    seed: int = HELD_OUT_SEED,
) -> VitDemoScore:
    """Write ``shown`` pictures to ``output_dir/images`` and their views to ``output_dir``, and
    score the model on ``images`` pictures, these among them.

    ``log`` gets lines: what is done, and the command that would do it. InputError for too few
    pictures, and for the seed of training; OutputError where a file can't be written.
    """
    if seed == TRAINING_SEED:
        raise InputError(f"seed {seed} is what the model was trained on: give another one")
    if not 0 <= shown <= images:
        raise InputError(f"{shown} pictures to show: must be 0 to {images}, the pictures made")
    model = load_demo_model()
    pictures = make_shapes(images, seed)
    log(f"{images} pictures of one object among clutter, which the model has not seen")
    paths = write_images(pictures, output_dir / "images", shown)
    if paths:
        log(
            f"fastcam vit {output_dir / 'images'} --model {MODEL_NAME} --checkpoint {WEIGHTS} "
            f"--output-dir {output_dir}"
        )
        items = [Item(path.stem, "", path) for path in paths]
        write_views(model, items, preprocessing_of(model), output_dir, ViewChoice(), log=log)
    return score_vit(model, pictures)


def load_demo_model() -> nn.Module:
    """The Vision Transformer that ships with fastcam, in eval mode: 80x80 pixels, 10x10 patches,
    four layers of four heads, a class token. ``python -m fastcam.demo.train_vit`` made it."""
    return load_model(MODEL_NAME, WEIGHTS)


def write_images(pictures: ShapesSet, folder: Path, count: int) -> list[Path]:
    """The first ``count`` pictures as PNG, named by number and class; their paths."""
    make_folder(folder)
    paths = []
    for index in range(count):
        paths.append(folder / f"{index + 1:02d}_{CLASSES[pictures.labels[index]]}.png")
        write_picture(paths[-1], pictures.images[index], "png")
    return paths


def score_vit(model: nn.Module, pictures: ShapesSet) -> VitDemoScore:
    """How ``model`` does on ``pictures``, and where it looks."""
    predicted, attention, rolled = attention_maps(model, pictures.images)
    n, h, w = attention.shape
    high, wide = pictures.masks.shape[1:]
    brightness = pictures.images.reshape(n, h, high // h, w, wide // w, 3).mean(axis=(2, 4, 5))
    return VitDemoScore(
        images=n,
        accuracy=float(np.mean(predicted == pictures.labels)),
        chance_accuracy=float(np.bincount(pictures.labels).max()) / n,
        attention_hits=float(peaks_on_object(attention, pictures.masks).mean()),
        rollout_hits=float(peaks_on_object(rolled, pictures.masks).mean()),
        chance_hits=float(on_object(pictures.masks, (h, w)).mean()),
        brightest_hits=float(peaks_on_object(brightness, pictures.masks).mean()),
    )


def attention_maps(
    model: nn.Module, images: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Predicted classes (n,), CLS attention of the last layer, mean of heads, and rollout, both
    (n, h, w) float32 over the patches, of pictures (n, H, W, 3) uint8."""
    predicted, attention, rolled = [], [], []
    for start in range(0, len(images), _BATCH):
        vit_pass = run_vit(model, normalize(images[start : start + _BATCH]))
        layers = [layer.attention for layer in vit_pass.layers]
        rows = layers[-1].row(0).mean(dim=1), rollout(layers)
        patches = [row[:, vit_pass.prefix :].reshape(-1, *vit_pass.grid) for row in rows]
        predicted.append(vit_pass.output.argmax(dim=1))
        attention.append(patches[0])
        rolled.append(patches[1])
    return torch.cat(predicted).numpy(), torch.cat(attention).numpy(), torch.cat(rolled).numpy()


def summary(score: VitDemoScore) -> str:
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
