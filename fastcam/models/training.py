"""What the project's training scripts share: start, optimizer, threads, weights, command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor, nn

from fastcam.errors import FastcamError, InputError, one_line
from fastcam.read.inputs.preprocessing import MEAN, STD
from fastcam.run.files import write_bytes

Output = Annotated[Path, typer.Option(help="Where the weights go: a .safetensors file.")]
LearningRate = Annotated[float, typer.Option(help="Highest of the cycle.")]


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """What every training has; each adds how long it takes, and of what.

    Attributes:
        learning_rate: the highest of the cycle, above 0.
        weight_decay: AdamW's.
        seed: decides the weights at the start and all chance of the training.
    """

    learning_rate: float
    weight_decay: float
    seed: int = 0

    # The fields that are 1 or more.
    COUNTS: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name in self.COUNTS:
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)} is too small: at least 1")
        if not self.learning_rate > 0.0:
            raise InputError(f"learning_rate {self.learning_rate} must be above 0")


class Optimizer:
    """AdamW whose learning rate rises for a share of the steps and falls after: one cycle."""

    def __init__(
        self,
        model: nn.Module,
        settings: OptimizerSettings,
        steps: int,
        *,
        rise: float,
        clip: float | None = 1.0,
    ) -> None:
        """``rise``: the share of ``steps``; ``clip``: highest norm of the gradients, if any."""
        self._model, self._clip = model, clip
        self._optimizer = torch.optim.AdamW(
            model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, settings.learning_rate, total_steps=max(steps, 2), pct_start=rise
        )

    def step(self, loss: Tensor) -> None:
        """Learn from one loss."""
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        if self._clip is not None:
            torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._clip)
        self._optimizer.step()
        self._schedule.step()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's global random state from ``seed``; afterwards as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch with a single thread; afterwards as it was.

    Sums depend on the number of threads in their last bits, and with them the weights. And where
    the matrices are small, threads that wait for each other on a busy machine made an epoch of one
    second one of forty-five.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def normalize(images: NDArray[np.uint8]) -> Tensor:
    """Pictures (n, h, w, 3) uint8 as a model takes them: (n, 3, h, w) float32, by ImageNet's mean
    and standard deviation, as ``preprocessing_of`` says for a model that states no others."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(numbers).reshape(1, 3, 1, 1) for numbers in (MEAN, STD))
    return (pixels - mean) / std


def save_weights(model: nn.Module, path: Path, dtype: torch.dtype | None = None) -> None:
    """The weights as safetensors, of their own type or ``dtype``.

    The file is whole or not there. OutputError where it can't be written.
    """
    from safetensors.torch import save

    state = {
        name: value.detach().cpu().to(dtype or value.dtype).contiguous()
        for name, value in model.state_dict().items()
    }
    write_bytes(path, [save(state)])


@contextmanager
def exit_on_error() -> Iterator[None]:
    """An error of fastcam as one line on stderr, and its exit code."""
    try:
        yield
    except FastcamError as error:
        typer.echo(one_line(f"fastcam: {error}"), err=True)
        raise typer.Exit(error.exit_code) from error
