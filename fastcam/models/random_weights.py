"""Which models have the weights that they were made with, because nothing was loaded into them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

import torch
from torch import nn

_SEED = 0

_random: WeakSet[nn.Module] = WeakSet()


@contextmanager
def same_every_time() -> Iterator[None]:
    """PyTorch's random numbers of the CPU, by which weights are made, from a fixed seed; afterwards
    as they were. So two runs agree, and a repeat goes on with what is there."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        yield


def mark_random(model: nn.Module) -> None:
    """Note that nothing was loaded into a model."""
    _random.add(model)


def has_random_weights(model: nn.Module) -> bool:
    """Whether :func:`fastcam.load_model` made the model, or one inside it, and loaded nothing."""
    return any(module in _random for module in model.modules())
