"""Images of 8 bits become a model's input on the device that it runs on."""

from __future__ import annotations

import numpy as np
import torch
from fastcam_kernels.level_tables import through_tables
from numpy.typing import NDArray
from torch import Tensor


def values_of(levels: Tensor, tables: NDArray[np.float32]) -> Tensor:
    """(..., 1 or c, h, w) uint8 and tables (c, 256) -> values (..., c, h, w) float32.

    On the device of ``levels``, channels last in memory; one plane goes through every table. The
    values are those of the tables, to the bit, whatever the device.
    """
    if levels.device.type == "cpu":
        shape = (*levels.shape[:-3], *levels.shape[-2:], len(tables))
        # PyTorch's own memory, of which a copy can be put off until somebody writes into it.
        values = torch.empty(shape)
        through_tables(levels.numpy(), tables, values.numpy())
        return values.movedim(-1, -3)
    first = 256 * torch.arange(len(tables), dtype=torch.int32, device=levels.device)
    places = levels.movedim(-3, -1).int() + first
    flat = torch.from_numpy(tables.reshape(-1).copy()).to(levels.device)
    return flat[places].contiguous().movedim(-1, -3)
