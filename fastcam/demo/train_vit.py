"""Train the small Vision Transformer of ``fastcam vit --demo`` on pictures of ``shapes_set``.

    python -m fastcam.demo.train_vit --output fastcam/demo/vit_demo.safetensors

made the file that ships. The model learns from the class of each picture's object alone; nothing
says where the object is: that is what the attention learns. No picture is seen twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fastcam.demo.shapes_set import CLASSES, SIDE, TRAINING_SEED, ShapesSet, make_shapes
from fastcam.errors import FastcamError, InputError
from fastcam.models.vit import VisionTransformer, VitSettings
from fastcam.read.inputs.preprocess import MEAN, STD
from fastcam.run.files import write_bytes

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


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """``batch``: pictures a step. ``seed`` decides the start; the pictures are always the same."""

    steps: int = 3400
    batch: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)} is too small: at least 1")
        if not self.learning_rate > 0.0:
            raise InputError(f"learning_rate {self.learning_rate} must be above 0")


@dataclass(frozen=True, slots=True)
class Step:
    """``loss``: mean cross-entropy over the pictures; ``accuracy``: share of them right, both
    before the model learns from them."""

    loss: float
    accuracy: float


def training_pictures(count: int, first: int) -> ShapesSet:
    return make_shapes(count, TRAINING_SEED, first)


def train(
    settings: TrainSettings | None = None,
    told: Callable[[int, Step], None] = lambda at, step: None,
    architecture: VitSettings = ARCHITECTURE,
    pictures: Callable[[int, int], ShapesSet] = training_pictures,
) -> tuple[VisionTransformer, list[Step]]:
    """A model in eval mode and what it did in each step; ``told`` hears of each as it ends.

    ``pictures`` gives a step's batch by its count and the number of its first picture.

    AdamW, the learning rate rising for a tenth of the steps and falling after (one cycle),
    gradients clipped at norm 1. The same settings give the same weights on one machine with one
    number of threads. Torch's global random state is left as it was.
    """
    settings = settings or TrainSettings()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = _started(architecture)
    optimizer = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=max(settings.steps, 2), pct_start=0.1
    )
    history = []
    model.train()
    for at in range(settings.steps):
        made = pictures(settings.batch, at * settings.batch)
        labels = torch.from_numpy(made.labels)
        logits = model(normalised(made.images))
        loss = functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        right = float((logits.argmax(dim=1) == labels).float().mean())
        history.append(Step(loss.item(), right))
        told(at + 1, history[-1])
    return model.eval(), history


def _started(architecture: VitSettings) -> VisionTransformer:
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
    rows, columns = (axis.reshape(-1, 1) * lengths for axis in torch.meshgrid(
        *(torch.arange(count, dtype=torch.float32) for count in grid), indexing="ij"
    ))  # fmt: skip
    return torch.cat([rows.sin(), rows.cos(), columns.sin(), columns.cos()], dim=1)


def normalised(images: NDArray[np.uint8]) -> Tensor:
    """Pictures (n, h, w, 3) uint8 as the model takes them: (n, 3, h, w) float32, by ImageNet's mean
    and standard deviation, as ``preprocessing_of`` says for a model that states no others."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(numbers).reshape(1, 3, 1, 1) for numbers in (MEAN, STD))
    return (pixels - mean) / std


def save(model: VisionTransformer, path: Path) -> None:
    """The weights as safetensors in float16, which halves the file and which ``load_model`` widens
    again; the file is whole or not there. OutputError where it can't be."""
    from safetensors.torch import save as packed

    state = {name: value.detach().cpu().half() for name, value in model.state_dict().items()}
    write_bytes(path, [packed({name: value.contiguous() for name, value in state.items()})])


def main(
    output: Annotated[Path, typer.Option(help="Where the weights go: a .safetensors file.")],
    steps: Annotated[int, typer.Option(min=1, help="Batches it learns from.")] = 3400,
    batch: Annotated[int, typer.Option(min=1, help="Pictures a step.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Highest of the cycle.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Decides the start.")] = 0,
) -> None:
    """Train the demo's Vision Transformer."""
    started = time.process_time()
    # The last bits of sums depend on the number of threads, and with them the file.
    torch.set_num_threads(1)
    try:
        model, history = train(TrainSettings(steps, batch, learning_rate, seed=seed), _tell)
        save(model, output)
    except FastcamError as error:
        typer.echo(f"fastcam: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    last = [step.accuracy for step in history[-20:]]
    typer.echo(
        f"saved {output}: {sum(last) / len(last):.3f} right over the last {len(last)} steps, "
        f"{time.process_time() - started:.0f} s of processor time"
    )


def _tell(at: int, step: Step) -> None:
    if at % 20 == 0:
        typer.echo(f"step {at:4d}  loss {step.loss:.3f}  accuracy {step.accuracy:.3f}")


if __name__ == "__main__":
    typer.run(main)
