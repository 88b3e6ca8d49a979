"""The arithmetic of maps: float32, whatever precision the model runs in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def exact(like: Tensor) -> AbstractContextManager[object]:
    """Autocast off on the device of ``like``."""
    # Entered for every layer of every batch: 10 us where autocast is off already.
    if not torch.is_autocast_enabled(like.device.type):
        return nullcontext()
    return torch.autocast(like.device.type, enabled=False)
