"""Train a small network that finds the discs, rings and crosses of ``blob_set``.

    python -m fastcam.demo.train_blobs --output blobs.safetensors --test-set blobs/

and the command that it prints at its end evaluates it. The model learns from what is there alone;
nothing says where: that is what the map of each finding must tell.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch.nn import functional

from fastcam.demo import blob_net
from fastcam.demo.age_net import WIDTH
from fastcam.demo.blob_net import BlobNet
from fastcam.demo.blob_set import IMAGES, MASKS, TABLE, TRAINING_SEED, make_blobs, write_blobs
from fastcam.errors import InputError
from fastcam.models.training import (
    Optimizer,
    OptimizerSettings,
    Output,
    exit_on_error,
    normalize,
    one_thread,
    save_weights,
    seeded,
)

# What ``load_model`` takes.
MODEL_NAME = f"{blob_net.__file__}:BlobNet"
HELD_OUT_SEED = 1


@dataclass(frozen=True, kw_only=True)
class TrainSettings(OptimizerSettings):
    """``seed`` decides start and order; the images are always the same.

    Attributes:
        images: how many are made.
        epochs: times each is seen, mirrored in half of the times.
        batch: images a step.
        width: channels of the first layer.
    """

    images: int = 1200
    epochs: int = 12
    batch: int = 16
    learning_rate: float = 4e-3
    weight_decay: float = 0.05
    width: int = WIDTH

    COUNTS = ("epochs", "width")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.batch <= self.images:
            raise InputError(
                f"batch {self.batch}: must be 2 to {self.images}, the images there are"
            )


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch, while training.

    Attributes:
        wrong: share of the findings that were said to be there and weren't, or the other way round.
    """

    wrong: float


def train(
    settings: TrainSettings | None = None,
    on_epoch: Callable[[int, Epoch], None] = lambda number, epoch: None,
) -> tuple[BlobNet, list[Epoch]]:
    """A model in eval mode whose outputs are logits of the findings; ``on_epoch`` gets each,
    counted from 1, as it ends.

    AdamW on the cross-entropy of each finding, the learning rate rising for a fifth of the steps
    and falling after (one cycle). The same settings give the same weights on one machine. Torch's
    global random state and number of threads are left as they were.
    """
    with one_thread():
        return _train(settings or TrainSettings(), on_epoch)


def _train(
    settings: TrainSettings, on_epoch: Callable[[int, Epoch], None]
) -> tuple[BlobNet, list[Epoch]]:
    blobs = make_blobs(settings.images, TRAINING_SEED)
    images, present = normalize(blobs.images), torch.from_numpy(blobs.present).float()
    with seeded(settings.seed):
        model = BlobNet(settings.width)
    generator = torch.Generator().manual_seed(settings.seed)
    steps = settings.epochs * (settings.images // settings.batch)
    optimizer = Optimizer(model, settings, steps, rise=0.2, clip=None)
    history = []
    model.train()
    for epoch in range(settings.epochs):
        order = torch.randperm(settings.images, generator=generator)
        batches = torch.split(order, settings.batch)[: settings.images // settings.batch]
        wrong = 0.0
        for numbers in batches:
            batch = images[numbers]
            if torch.rand((), generator=generator) < 0.5:
                batch = batch.flip(-1)
            logits = model(batch)
            optimizer.step(functional.binary_cross_entropy_with_logits(logits, present[numbers]))
            wrong += float(((logits > 0) != (present[numbers] > 0)).float().mean())
        history.append(Epoch(wrong / len(batches)))
        on_epoch(epoch + 1, history[-1])
    return model.eval(), history


def main(
    output: Output,
    test_set: Annotated[
        Path | None,
        typer.Option(help="Folder for 200 images it has not seen, with masks of each finding."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Times each image is seen.")] = 12,
    seed: Annotated[int, typer.Option(help="Decides start and order.")] = 0,
) -> None:
    """Train the network that finds the shapes of made-up images."""
    started = time.process_time()
    with exit_on_error():
        model, history = train(TrainSettings(epochs=epochs, seed=seed), _print_epoch)
        save_weights(model, output)
        if test_set is not None:
            write_blobs(make_blobs(200, HELD_OUT_SEED), test_set)
    typer.echo(
        f"saved {output}: {history[-1].wrong:.1%} of the findings wrong in the last epoch, "
        f"{time.process_time() - started:.0f} s of processor time"
    )
    if test_set is not None:
        typer.echo(
            f"fastcam evaluate --task multilabel --model {MODEL_NAME} --checkpoint {output} "
            f"--image-dir {test_set / IMAGES} --table {test_set / TABLE} --mask-dir "
            f"{test_set / MASKS} --explain 20 --output-dir evaluation"
        )


def _print_epoch(number: int, epoch: Epoch) -> None:
    typer.echo(f"epoch {number:2d}  {epoch.wrong:.1%} of the findings wrong")


if __name__ == "__main__":
    typer.run(main)
