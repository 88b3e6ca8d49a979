"""Train the small Vision Transformer of ``fastcam vit --demo`` on pictures of ``shapes_set``.

    python -m fastcam.demo.train_vit --output fastcam/demo/vit_demo.safetensors

made the file that ships. The model learns from the class of each picture's object alone; nothing
says where the object is: that is what the attention learns. No picture is seen twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
import typer
from torch import Tensor
from torch.nn import functional

from fastcam.demo.shapes_set import CLASSES, SIDE, TRAINING_SEED, ShapesSet, make_shapes
from fastcam.models.training import (
    LearningRate,
    Optimizer,
    OptimizerSettings,
    Output,
    exit_on_error,
    normalize,
    one_thread,
    save_weights,
    seeded,
)
from fastcam.models.vit import VisionTransformer, VitSettings

ARCHITECTURE = VitSettings(
    dim=64,
    depth=4,
    heads=4,
    mlp_dim=256,
    patch_size=(8, 8),
    image_size=(SIDE, SIDE),
    num_classes=len(CLASSES),
)
# What ``load_model`` takes: the width doesn't tell the number of heads.
MODEL_NAME = f"vit_tiny_heads{ARCHITECTURE.heads}"


@dataclass(frozen=True, kw_only=True)
class TrainSettings(OptimizerSettings):
    """``seed`` decides the start; the pictures are always the same.

    Attributes:
        steps: batches it learns from.
        batch: pictures a step.
    """

    steps: int = 3400
    batch: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.05

    COUNTS = ("steps", "batch")


@dataclass(frozen=True, slots=True)
class Step:
    """One step, measured before the model learns from its pictures.

    Attributes:
        loss: mean cross-entropy over the pictures.
        accuracy: share of them right.
    """

    loss: float
    accuracy: float


def training_pictures(count: int, first: int) -> ShapesSet:
    return make_shapes(count, TRAINING_SEED, first)


def train(
    settings: TrainSettings | None = None,
    on_step: Callable[[int, Step], None] = lambda number, step: None,
    architecture: VitSettings = ARCHITECTURE,
    pictures: Callable[[int, int], ShapesSet] = training_pictures,
) -> tuple[VisionTransformer, list[Step]]:
    """A model in eval mode and what it did in each step; ``on_step`` gets each, counted from 1,
    as it ends.

    ``pictures`` gives a step's batch by its count and the number of its first picture.

    AdamW, the learning rate rising for a tenth of the steps and falling after (one cycle),
    gradients clipped at norm 1. The same settings give the same weights on one machine with one
    number of threads. Torch's global random state is left as it was.
    """
    settings = settings or TrainSettings()
    with seeded(settings.seed):
        model = _initial(architecture)
    optimizer = Optimizer(model, settings, settings.steps, rise=0.1)
    history = []
    model.train()
    for index in range(settings.steps):
        batch = pictures(settings.batch, index * settings.batch)
        labels = torch.from_numpy(batch.labels)
        logits = model(normalize(batch.images))
        loss = functional.cross_entropy(logits, labels)
        optimizer.step(loss)
        right = float((logits.argmax(dim=1) == labels).float().mean())
        history.append(Step(loss.item(), right))
        on_step(index + 1, history[-1])
    return model.eval(), history


def _initial(architecture: VitSettings) -> VisionTransformer:
    """A model that learns fast at this width: weights by Glorot & Bengio 2010, as in MAE, and
    positions that start as waves, which are learned on like all else."""
    model = VisionTransformer(architecture)
    for name, weights in model.blocks.named_parameters():
        if weights.ndim == 2 and name.endswith("weight"):
            torch.nn.init.xavier_uniform_(weights)
    positions = _waves(architecture.grid, architecture.dim)
    model.pos_embed.data[0, -len(positions) :] = positions
    return model


def _waves(grid: tuple[int, int], dim: int) -> Tensor:
    """Sines and cosines of the row and of the column (h * w, dim), as in Vaswani et al. 2017, but
    from 2π to 200π patches long."""
    lengths = 100.0 ** -torch.linspace(0.0, 1.0, dim // 4)
    rows, columns = (
        axis.reshape(-1, 1) * lengths
        for axis in torch.meshgrid(
            *(torch.arange(count, dtype=torch.float32) for count in grid), indexing="ij"
        )
    )
    return torch.cat([rows.sin(), rows.cos(), columns.sin(), columns.cos()], dim=1)


def main(
    output: Output,
    steps: Annotated[int, typer.Option(min=1, help="Batches it learns from.")] = 3400,
    batch: Annotated[int, typer.Option(min=1, help="Pictures a step.")] = 32,
    learning_rate: LearningRate = 1e-3,
    seed: Annotated[int, typer.Option(help="Decides the start.")] = 0,
) -> None:
    """Train the demo's Vision Transformer."""
    started = time.process_time()
    with exit_on_error(), one_thread():
        settings = TrainSettings(steps=steps, batch=batch, learning_rate=learning_rate, seed=seed)
        model, history = train(settings, _print_step)
        # Half the size, and ``load_model`` widens them again.
        save_weights(model, output, torch.float16)
    last = [step.accuracy for step in history[-20:]]
    typer.echo(
        f"saved {output}: {sum(last) / len(last):.3f} right over the last {len(last)} steps, "
        f"{time.process_time() - started:.0f} s of processor time"
    )


def _print_step(number: int, step: Step) -> None:
    if number % 20 == 0:
        typer.echo(f"step {number:4d}  loss {step.loss:.3f}  accuracy {step.accuracy:.3f}")


if __name__ == "__main__":
    typer.run(main)
