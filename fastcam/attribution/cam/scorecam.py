"""Score-CAM: channels weighted by what the model says of the image seen through each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.cam.formulas import weighted
from fastcam.attribution.modules import frozen_eval, no_autocast

# Masked images in one forward pass.
CHUNK = 32


def scorecam(
    model: nn.Module,
    batch: Tensor,
    activations: Tensor,
    score: Callable[[Any, Tensor], Tensor],
    chunk: int = CHUNK,
    masked_channels: Tensor | None = None,
) -> Tensor:
    """Σ_k α_k A_k for ``batch`` (b, c, *S) and ``activations`` (b, k, *s) float32: (b, t, *s).

    Each channel is resized to the image (linear, align_corners=False), scaled to [0, 1] and
    multiplied with it; α is the softmax over the channels of the score of the masked image, no
    baseline, since one would cancel (Wang et al. 2020, eq. 4 to 8). That makes b·k forward
    passes, ``chunk`` at a time.

    ``score`` gets the model's output for m masked images and ``rows`` (m,) int64, the image each
    comes from, and gives (m, t). ``masked_channels`` (c,) bool: those that masks lie over, None for
    all; the others stay as they are. The result is raw, neither rectified nor scaled.
    """
    images, channels = activations.shape[:2]
    masks = activations.flatten(0, 1)[:, None]
    scores = []
    with torch.inference_mode(False), torch.no_grad(), frozen_eval(model):
        for start in range(0, len(masks), chunk):
            part = masks[start : start + chunk]
            rows = torch.arange(start, start + len(part), device=batch.device) // channels
            with no_autocast(batch):
                images_of_rows = batch[rows]
                masked = images_of_rows * _unit_masks(part, batch.shape[2:]).to(batch.dtype)
                if masked_channels is not None:
                    axes = (1, -1, *(1,) * (batch.ndim - 2))
                    over_channels = masked_channels.to(batch.device).reshape(axes)
                    masked = torch.where(over_channels, masked, images_of_rows)
            scores.append(score(model(masked), rows).float())
    weights = torch.cat(scores).reshape(images, channels, -1).softmax(1)
    with no_autocast(batch):
        return torch.stack([weighted(activations, w) for w in weights.unbind(2)], 1)


def _unit_masks(channels: Tensor, size: torch.Size) -> Tensor:
    mode = "bilinear" if len(size) == 2 else "trilinear"
    large = nn.functional.interpolate(channels, size=size, mode=mode, align_corners=False)
    axes = tuple(range(1, large.ndim))
    low, high = large.amin(axes, keepdim=True), large.amax(axes, keepdim=True)
    return (large - low) / (high - low + 1e-8)
