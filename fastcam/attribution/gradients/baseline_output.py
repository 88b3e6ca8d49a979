"""The model's output for images without content, kept where it is the same for every batch."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn


class BaselineOutput:
    """What ``model`` returns for batches of baselines: a pass of one for all that are alike.

    Of integrated gradients with 32 steps a pass without gradients is 1.3 %.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._key: tuple[Any, ...] | None = None
        self._output: Tensor | None = None

    def __call__(self, baselines: Tensor, alike: bool) -> Any:
        """The output for ``baselines`` (b, c, *s); ``alike``: every image of every batch is the
        same, but for shape and type. Run again when shape, type, weights or autocast change."""
        key = self._key_of(baselines) if alike else None
        if key is None:
            return self._model(baselines)
        if key != self._key or self._output is None:
            output = self._model(baselines[:1].contiguous())
            if not isinstance(output, Tensor) or output.shape[:1] != (1,):
                return self._model(baselines)
            self._key, self._output = key, output
        return self._output.expand(len(baselines), *self._output.shape[1:])

    def _key_of(self, baselines: Tensor) -> tuple[Any, ...] | None:
        """What the output depends on; None where a change of the weights couldn't be seen."""
        tensors = list(itertools.chain(self._model.parameters(), self._model.buffers()))
        if any(tensor.is_inference() for tensor in tensors):
            return None
        weights = tuple((id(tensor), tensor.data_ptr(), tensor._version) for tensor in tensors)
        kind = baselines.device.type
        return (
            tuple(baselines.shape[1:]),
            baselines.dtype,
            baselines.device,
            torch.is_autocast_enabled(kind),
            torch.get_autocast_dtype(kind),
            weights,
        )
