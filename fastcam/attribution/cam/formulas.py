"""Class activation maps as pure functions of a layer's activations and gradients.

``activations`` A and ``gradients`` g = ∂y/∂A are float32 (b, k, *s): k channels, s = (h, w) or
(d, h, w). Every map is float32 (b, *s), raw: neither rectified nor scaled.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Formula = Callable[[Tensor, Tensor], Tensor]

# Up to this many rows of the smaller Gram matrix its full decomposition is cheapest. Measured on
# one core, four images through the stages of a ResNet-50 (256, 512, 196 and 49 rows): whole 41,
# 116, 18 and 2 ms, iterated 111, 42, 26 and 26 ms.
_WHOLE = 256
# Columns iterated together: the first converges with (σ9/σ1)², which is small for activations.
_COLUMNS = 8
_ITERATIONS = 100
_RESIDUAL = 1e-6


def gradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Σ_k w_k A_k with w_k the spatial mean of g_k (Selvaraju et al. 2017, eq. 1 and 2)."""
    return weighted(activations, gradients.flatten(2).mean(2))


def hirescam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Σ_k g_k A_k, position by position (Draelos & Carin 2020, eq. 3)."""
    return (gradients * activations).sum(1)


def layercam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Σ_k ReLU(g_k) A_k (Jiang et al. 2021, eq. 5 and 6)."""
    return (gradients.relu() * activations).sum(1)


def gradcam_plusplus(activations: Tensor, gradients: Tensor) -> Tensor:
    """Σ_k w_k A_k with w_k = Σ ReLU(g) α (Chattopadhay et al. 2018, eq. 19).

    α = g² / (2 g² + ΣA · g³ + 1e-6), the sum over the positions of a channel.
    """
    squares = gradients.square()
    total = activations.flatten(2).sum(2).reshape(*activations.shape[:2], *_unit_axes(activations))
    alpha = squares / (2 * squares + total * squares * gradients + 1e-6)
    # Where g is negative α may be infinite, and 0 · ∞ would be NaN.
    evidence = torch.where(gradients > 0, gradients * alpha, 0.0)
    return weighted(activations, evidence.flatten(2).sum(2))


def eigencam(activations: Tensor) -> Tensor:
    """The activations projected on their first principal direction (Muhammad & Yeasin 2020).

    Channels are centered over the positions; of X (positions, channels) with first right singular
    vector v the map is X v, that is σ1 u1. Its sign is that of its correlation with the mean of
    the activations over the channels (where that is 0, the sign is free).
    """
    flat = activations.flatten(2)
    flat = flat - flat.mean(2, keepdim=True)
    # A NaN or an infinite value costs its own image; eigh would refuse the whole batch.
    finite = flat.isfinite().all(2).all(1)[:, None, None]
    flat = flat.where(finite, 0.0)
    component = (
        _principal_whole(flat) if min(flat.shape[1:]) <= _WHOLE else _principal_iterated(flat)
    )
    agreement = (component * flat.mean(1)).sum(1, keepdim=True)
    component = torch.where(agreement < 0, -component, component).where(finite[:, 0], torch.nan)
    return component.reshape(activations.shape[0], *activations.shape[2:])


def weighted(activations: Tensor, weights: Tensor) -> Tensor:
    """Σ_k w_k A_k for ``weights`` (b, k)."""
    flat = torch.bmm(weights[:, None], activations.flatten(2))
    return flat.reshape(activations.shape[0], *activations.shape[2:])


GRADIENT_METHODS: dict[str, Formula] = {
    "gradcam": gradcam,
    "hirescam": hirescam,
    "layercam": layercam,
    "gradcam++": gradcam_plusplus,
}


def _unit_axes(activations: Tensor) -> tuple[int, ...]:
    return (1,) * (activations.ndim - 2)


def _principal_whole(flat: Tensor) -> Tensor:
    """σ1 u1 of (b, k, s), from the smaller Gram matrix."""
    if flat.shape[1] <= flat.shape[2]:
        vectors = torch.linalg.eigh(flat @ flat.mT).eigenvectors[..., -1:]
        projected: Tensor = (flat.mT @ vectors).squeeze(-1)
        return projected
    values, vectors = torch.linalg.eigh(flat.mT @ flat)
    component: Tensor = vectors[..., -1] * values[..., -1:].clamp_min(0).sqrt()
    return component


def _principal_iterated(flat: Tensor) -> Tensor:
    """σ1 u1 of (b, k, s) by subspace iteration, without a Gram matrix.

    Orthogonalised by QR in every step, ended when the first pair's residual is below
    ``_RESIDUAL`` of its eigenvalue in every image. Two singular values closer than that have no
    first vector to speak of; then the last estimate stands.
    """
    seed = torch.Generator().manual_seed(0)
    start = torch.randn(flat.shape[2], _COLUMNS, generator=seed).to(flat)
    # The mean over the channels is close to the direction looked for.
    basis = start.expand(len(flat), -1, -1).clone()
    basis[..., 0] = flat.mean(1)
    first = basis[..., :1]
    for _ in range(_ITERATIONS):
        basis = torch.linalg.qr(basis).Q
        image = flat @ basis
        values, turn = torch.linalg.eigh(image.mT @ image)
        after = flat.mT @ image
        first, largest = basis @ turn[..., -1:], values[:, None, -1:]
        residual = (after @ turn[..., -1:] - largest * first).norm(dim=1, keepdim=True)
        if bool((residual <= _RESIDUAL * largest).all()):
            break
        basis = after
    # One more product removes what is left of the others, in proportion to their variance.
    last = flat.mT @ (flat @ first)
    scale = (flat @ first).norm(dim=1, keepdim=True)
    length = last.norm(dim=1, keepdim=True)
    component: Tensor = last * (scale / length.clamp_min(torch.finfo(flat.dtype).tiny))
    return component.squeeze(-1)
