"""Train a small network that tells the age of the made-up faces of ``age_set``.

    python -m fastcam.demo.train_age --output age.safetensors --test-set faces/

and the command that it prints at its end evaluates it. The model learns from ages alone; nothing
says where they show: that is what its maps must tell.
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

from fastcam.demo import age_net
from fastcam.demo.age_net import WIDTH, AgeNet
from fastcam.demo.age_set import (
    IMAGES,
    OLDEST,
    TABLE,
    TRAINING_SEED,
    YOUNGEST,
    make_ages,
    write_ages,
)
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
MODEL_NAME = f"{age_net.__file__}:AgeNet"
HELD_OUT_SEED = 1
# Up to this share of the epochs activations cost nothing, then more and more: a model that has
# learnt nothing yet would answer with none at all.
_FREE = 0.25


@dataclass(frozen=True, kw_only=True)
class TrainSettings(OptimizerSettings):
    """``seed`` decides start and order; the faces are always the same.

    Attributes:
        faces: how many are made.
        epochs: times each face is seen, mirrored in half of the times.
        batch: faces a step.
        cost: what the mean activation of the last layer adds to the loss at the end, so that the
            evidence for an age lies in few places.
        width: channels of the first layer.
    """

    faces: int = 600
    epochs: int = 10
    batch: int = 16
    learning_rate: float = 4e-3
    weight_decay: float = 0.05
    cost: float = 0.2
    width: int = WIDTH

    COUNTS = ("epochs", "width")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.batch <= self.faces:
            raise InputError(f"batch {self.batch}: must be 2 to {self.faces}, the faces there are")


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch, while training.

    Attributes:
        error: mean absolute error in years over the faces.
    """

    error: float


def train(
    settings: TrainSettings | None = None,
    on_epoch: Callable[[int, Epoch], None] = lambda number, epoch: None,
) -> tuple[AgeNet, list[Epoch]]:
    """A model in eval mode whose output is an age in years; ``on_epoch`` gets each,
    counted from 1, as it ends.

    AdamW on the smoothed absolute error, the learning rate rising for a fifth of the steps and
    falling after (one cycle). The same settings give the same weights on one machine. Torch's
    global random state and number of threads are left as they were.
    """
    with one_thread():
        return _train(settings or TrainSettings(), on_epoch)


def _train(
    settings: TrainSettings, on_epoch: Callable[[int, Epoch], None]
) -> tuple[AgeNet, list[Epoch]]:
    faces = make_ages(settings.faces, TRAINING_SEED)
    images, ages = normalize(faces.images), torch.from_numpy(faces.ages)
    # From 0, the youngest, to 1: what raises the output is then the lines, not their lack.
    scaled = (ages - YOUNGEST) / (OLDEST - YOUNGEST)
    with seeded(settings.seed):
        model = AgeNet(settings.width)
    generator = torch.Generator().manual_seed(settings.seed)
    steps = settings.epochs * (settings.faces // settings.batch)
    optimizer = Optimizer(model, settings, steps, rise=0.2, clip=None)
    history = []
    model.train()
    for epoch in range(settings.epochs):
        order = torch.randperm(settings.faces, generator=generator)
        total = 0.0
        batches = torch.split(order, settings.batch)[: settings.faces // settings.batch]
        for numbers in batches:
            batch = images[numbers]
            if torch.rand((), generator=generator) < 0.5:
                batch = batch.flip(-1)
            features = model.features(batch)
            output = model.fc(features.mean((2, 3)))[:, 0]
            loss = functional.smooth_l1_loss(output, scaled[numbers], beta=0.1)
            share = epoch / max(settings.epochs - 1, 1)
            loss = loss + settings.cost * max(share - _FREE, 0.0) / (1 - _FREE) * features.mean()
            optimizer.step(loss)
            total += float((output.detach() - scaled[numbers]).abs().mean()) * (OLDEST - YOUNGEST)
        history.append(Epoch(total / len(batches)))
        on_epoch(epoch + 1, history[-1])
    with torch.no_grad():
        # From now on in years.
        model.fc.weight *= OLDEST - YOUNGEST
        model.fc.bias.copy_(model.fc.bias * (OLDEST - YOUNGEST) + YOUNGEST)
    return model.eval(), history


def main(
    output: Output,
    test_set: Annotated[
        Path | None, typer.Option(help="Folder for 200 faces it has not seen, with masks.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Times each face is seen.")] = 10,
    seed: Annotated[int, typer.Option(help="Decides start and order.")] = 0,
) -> None:
    """Train the network that tells the age of made-up faces."""
    started = time.process_time()
    with exit_on_error():
        model, history = train(TrainSettings(epochs=epochs, seed=seed), _print_epoch)
        save_weights(model, output)
        if test_set is not None:
            write_ages(make_ages(200, HELD_OUT_SEED), test_set)
    typer.echo(
        f"saved {output}: off by {history[-1].error:.1f} years in the last epoch, "
        f"{time.process_time() - started:.0f} s of processor time"
    )
    if test_set is not None:
        typer.echo(
            f"fastcam evaluate --model {MODEL_NAME} --checkpoint {output} --image-dir "
            f"{test_set / IMAGES} --table {test_set / TABLE} --target age --output-dir evaluation"
        )


def _print_epoch(number: int, epoch: Epoch) -> None:
    typer.echo(f"epoch {number:2d}  off by {epoch.error:.1f} years")


if __name__ == "__main__":
    typer.run(main)
