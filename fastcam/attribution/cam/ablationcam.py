"""Ablation-CAM: channels weighted by what the output loses without each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.cam.formulas import weighted
from fastcam.attribution.layer_names import split_call
from fastcam.attribution.modules import (
    eager_mode,
    frozen_eval,
    no_autocast,
    tensor_in,
    with_tensor,
)
from fastcam.attribution.targets import Score
from fastcam.errors import InputError

# Rows of which the first is whole may differ from the pass before by the rounding of other kernels.
_TOLERANCE = 1e-3
_TINY = 1e-12


def ablationcam(
    model: nn.Module,
    layer: str,
    module: nn.Module,
    channel_axis: int,
    batch: Tensor,
    activations: Tensor,
    score: Score,
    chunk: int,
) -> Tensor:
    """Σ_k w_k A_k with w_k = (y - y_k) / |y|, y_k the score without channel k of ``layer``, for
    ``batch`` (b, c, *S) and ``activations`` (b, k, *s) float32: (b, t, *s).

    Desai & Ramaswamy 2020, eq. 2 and 3, with |y| for y: the sign of a weight is that of the loss,
    also where the score is below 0. A channel is left out by zeros. That makes b·k rows, ``chunk``
    at a time. The part of the model before ``layer`` runs for one image in each pass, and its
    output stands for all of the chunk, unless the rest of the model can't do with that; then the
    image is repeated. ``channel_axis``: that of the layer's own output. The result is raw, neither
    rectified nor scaled.
    """
    channels = activations.shape[1]
    weights = []
    with torch.inference_mode(False), torch.no_grad(), frozen_eval(model), eager_mode(model):
        for row in range(len(batch)):
            image = _AblatedImage(model, layer, module, channel_axis, batch[row : row + 1], row)
            whole = image.whole(score)
            losses = [
                whole - image.scores(range(start, min(start + chunk, channels)), score, whole)
                for start in range(0, channels, chunk)
            ]
            weights.append(torch.cat(losses) / whole.abs().clamp_min(_TINY))
    with no_autocast(batch):
        table = torch.stack(weights)
        return torch.stack([weighted(activations, w) for w in table.unbind(2)], 1)


class _AblatedImage:
    """One image (1, c, *S) run with channels of a layer set to 0."""

    def __init__(
        self,
        model: nn.Module,
        layer: str,
        module: nn.Module,
        channel_axis: int,
        image: Tensor,
        row: int,
    ) -> None:
        self._model = model
        self._name, call = split_call(layer)
        self._call = call or 0
        self._module = module
        self._axis = channel_axis
        self._image = image
        self._row = row
        self._shared_trunk = True

    def whole(self, score: Score) -> Tensor:
        """The scores (t,) of the image with all channels."""
        return score(self._model(self._image), self._rows(1)).float()[0]

    def scores(self, channels: range, score: Score, whole: Tensor) -> Tensor:
        """The scores (m, t) without each of ``channels``."""
        if self._shared_trunk:
            scores = self._shared_scores(channels, score)
            if scores is not None:
                close = (scores[0] - whole).abs() <= _TOLERANCE * whole.abs().clamp_min(_TOLERANCE)
                if bool(close.all()):
                    return scores[1:]
            self._shared_trunk = False
        repeated = self._image.expand(len(channels), *self._image.shape[1:])
        with self._ablation(channels, whole_first=False):
            return score(self._model(repeated), self._rows(len(channels))).float()

    def _shared_scores(self, channels: range, score: Score) -> Tensor | None:
        """The same by one image up to the layer, and before it the row of the whole image, by which
        it is seen whether the model is right with that; None where it fails."""
        rows = self._rows(len(channels) + 1)
        try:
            with self._ablation(channels, whole_first=True):
                scores = score(self._model(self._image), rows).float()
        except (RuntimeError, ValueError, IndexError, InputError):
            return None
        return scores if len(scores) == len(rows) else None

    def _rows(self, count: int) -> Tensor:
        return torch.full((count,), self._row, device=self._image.device)

    @contextmanager
    def _ablation(self, channels: range, whole_first: bool) -> Iterator[None]:
        """While it is open, the layer's output has a row for each of ``channels`` without it."""
        calls = 0

        def after(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls - 1 != self._call:
                return None
            tensor = tensor_in(output, self._name)
            count = len(channels) + whole_first
            rows = tensor[:1].expand(count, *tensor.shape[1:]).clone()
            for row, channel in enumerate(channels, int(whole_first)):
                rows[row].select(self._axis - 1, channel).zero_()
            return with_tensor(output, rows)

        handle = self._module.register_forward_hook(after)
        try:
            yield
        finally:
            handle.remove()
