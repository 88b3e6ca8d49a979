"""The arithmetic of maps: float32, whatever precision the model runs in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def exact(like: Tensor) -> Iterator[None]:
    """Autocast off on the device of ``like``."""
    with torch.autocast(like.device.type, enabled=False):
        yield
