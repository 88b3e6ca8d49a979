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
from fastcam.demo.train_vit import normalised
from fastcam.errors import FastcamError, InputError
from fastcam.run.files import write_bytes

# What ``load_model`` takes.
MODEL_NAME = f"{age_net.__file__}:AgeNet"
HELD_OUT_SEED = 1
# Up to this share of the epochs activations cost nothing, then more and more: a model that has
# learnt nothing yet would answer with none at all.
_FREE = 0.25


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """``faces`` are made once and seen ``epochs`` times, in batches of ``batch``, mirrored in half
    of the times. ``cost``: what the mean activation of the last layer adds to the loss at the end,
    so that the evidence for an age lies in few places. ``seed`` decides start and order, the faces
    are always the same."""

    faces: int = 600
    epochs: int = 10
    batch: int = 16
    learning_rate: float = 4e-3
    weight_decay: float = 0.05
    cost: float = 0.2
    width: int = WIDTH
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "width"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)} is too small: at least 1")
        if not 2 <= self.batch <= self.faces:
            raise InputError(f"batch {self.batch}: must be 2 to {self.faces}, the faces there are")
        if not self.learning_rate > 0.0:
            raise InputError(f"learning_rate {self.learning_rate} must be above 0")


@dataclass(frozen=True, slots=True)
class Epoch:
    """``error``: mean absolute error in years over the faces, while training."""

    error: float


def train(
    settings: TrainSettings | None = None,
    told: Callable[[int, Epoch], None] = lambda at, epoch: None,
) -> tuple[AgeNet, list[Epoch]]:
    """A model in eval mode whose output is an age in years; ``told`` hears of each epoch.

    AdamW on the smoothed absolute error, the learning rate rising for a fifth of the steps and
    falling after (one cycle). The same settings give the same weights on one machine. Torch's
    global random state and number of threads are left as they were.
    """
    # Sums depend on the number of threads in their last bits, and with them the weights.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _train(settings or TrainSettings(), told)
    finally:
        torch.set_num_threads(threads)


def _train(
    settings: TrainSettings, told: Callable[[int, Epoch], None]
) -> tuple[AgeNet, list[Epoch]]:
    made = make_ages(settings.faces, TRAINING_SEED)
    images, ages = normalised(made.images), torch.from_numpy(made.ages)
    # From 0, the youngest, to 1: what raises the output is then the lines, not their lack.
    grown = (ages - YOUNGEST) / (OLDEST - YOUNGEST)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = AgeNet(settings.width)
    chance = torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    steps = settings.epochs * (settings.faces // settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=max(steps, 2), pct_start=0.2
    )
    history = []
    model.train()
    for at in range(settings.epochs):
        order = torch.randperm(settings.faces, generator=chance)
        total = 0.0
        batches = torch.split(order, settings.batch)[: settings.faces // settings.batch]
        for chosen in batches:
            seen = images[chosen]
            if torch.rand((), generator=chance) < 0.5:
                seen = seen.flip(-1)
            features = model.features(seen)
            answer = model.fc(features.mean((2, 3)))[:, 0]
            loss = functional.smooth_l1_loss(answer, grown[chosen], beta=0.1)
            share = at / max(settings.epochs - 1, 1)
            loss = loss + settings.cost * max(share - _FREE, 0.0) / (1 - _FREE) * features.mean()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            total += float((answer.detach() - grown[chosen]).abs().mean()) * (OLDEST - YOUNGEST)
        history.append(Epoch(total / len(batches)))
        told(at + 1, history[-1])
    with torch.no_grad():
        # From now on in years.
        model.fc.weight *= OLDEST - YOUNGEST
        model.fc.bias.copy_(model.fc.bias * (OLDEST - YOUNGEST) + YOUNGEST)
    return model.eval(), history


def save(model: AgeNet, path: Path) -> None:
    """The weights as safetensors; the file is whole or not there. OutputError where it can't be."""
    from safetensors.torch import save as packed

    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_bytes(path, [packed(state)])


def main(
    output: Annotated[Path, typer.Option(help="Where the weights go: a .safetensors file.")],
    test_set: Annotated[
        Path | None, typer.Option(help="Folder for 200 faces it has not seen, with masks.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Times each face is seen.")] = 10,
    seed: Annotated[int, typer.Option(help="Decides start and order.")] = 0,
) -> None:
    """Train the network that tells the age of made-up faces."""
    started = time.process_time()
    try:
        model, history = train(TrainSettings(epochs=epochs, seed=seed), _tell)
        save(model, output)
        if test_set is not None:
            write_ages(make_ages(200, HELD_OUT_SEED), test_set)
    except FastcamError as error:
        typer.echo(f"fastcam: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    typer.echo(
        f"saved {output}: off by {history[-1].error:.1f} years in the last epoch, "
        f"{time.process_time() - started:.0f} s of processor time"
    )
    if test_set is not None:
        typer.echo(
            f"fastcam evaluate --model {MODEL_NAME} --checkpoint {output} --image-dir "
            f"{test_set / IMAGES} --table {test_set / TABLE} --target age --output-dir evaluation"
        )


def _tell(at: int, epoch: Epoch) -> None:
    typer.echo(f"epoch {at:2d}  off by {epoch.error:.1f} years")


if __name__ == "__main__":
    typer.run(main)
