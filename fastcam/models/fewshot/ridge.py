"""Ridge regression of query features on support features (FRN, Wertheimer et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastcam.errors import InputError

# Added to λ, so that the system can be solved however small e^α gets (the published code).
_LEAST = 1e-6


def ridge_penalty(positions: int, channels: int, alpha: Tensor | float) -> Tensor:
    """λ = (k·r / d) · e^α + 1e-6 (eq. 5): ``positions`` k·r of all a class's support images,
    ``channels`` d. A tensor without axes."""
    return positions / channels * torch.as_tensor(alpha).exp() + _LEAST


def ridge_weights(query: Tensor, support: Tensor, penalty: Tensor | float) -> Tensor:
    """W = Q (SᵀS + λI)⁻¹ Sᵀ of signed weights: ``query`` (…, n, d), ``support`` (…, s, d), and
    the result (…, n, s), so that W S is the best ridge reconstruction of Q.

    Solved for d × d or, where there are fewer support places than channels, in the equal form
    Q Sᵀ (S Sᵀ + λI)⁻¹ (Woodbury), s × s. In float32 at least, float64 for float64.
    """
    query, support = _checked(query, support)
    with torch.autocast(query.device.type, enabled=False):
        if support.shape[-2] < support.shape[-1]:
            inner = _with_penalty(support @ support.mT, penalty)
            weights: Tensor = torch.linalg.solve(inner, support @ query.mT).mT
        else:
            inner = _with_penalty(support.mT @ support, penalty)
            weights = query @ torch.linalg.solve(inner, support.mT)
    return weights


def ridge_reconstruction(
    query: Tensor, support: Tensor, penalty: Tensor | float, rho: Tensor | float = 1.0
) -> Tensor:
    """Q̄ = ρ · Q (SᵀS + λI)⁻¹ SᵀS (eq. 7 and 8), (…, n, d), without the n × s weights.

    Shapes, solving and precision as in ``ridge_weights``.
    """
    query, support = _checked(query, support)
    with torch.autocast(query.device.type, enabled=False):
        if support.shape[-2] < support.shape[-1]:
            inner = _with_penalty(support @ support.mT, penalty)
            hat = support.mT @ torch.linalg.solve(inner, support)
        else:
            gram = support.mT @ support
            hat = torch.linalg.solve(_with_penalty(gram, penalty), gram)
        reconstruction: Tensor = rho * (query @ hat)
    return reconstruction


class RidgeReconstruction(nn.Module):
    """How far queries are from their reconstruction out of each class's support.

    α, β (0 at the start: λ = k·r / d and ρ = 1) and the temperature are learned, as in FRN.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(()))
        self.beta = nn.Parameter(torch.zeros(()))
        self.temperature = nn.Parameter(torch.ones(()))

    def forward(self, support: Tensor, query: Tensor) -> Tensor:
        """Logits (b, classes): minus the squared distance to the reconstruction, its mean over
        places (eq. 9 and 10). ``support`` (classes, k·r, d), ``query`` (b, r, d)."""
        b, positions, d = query.shape
        flat = query.reshape(1, b * positions, d)
        penalty = ridge_penalty(support.shape[1], d, self.alpha)
        reconstruction = ridge_reconstruction(flat, support, penalty, self.beta.exp())
        distance = (reconstruction - flat).square().sum(-1).reshape(-1, b, positions).mean(-1)
        return -self.temperature * distance.T


def _checked(query: Tensor, support: Tensor) -> tuple[Tensor, Tensor]:
    if query.shape[-1] != support.shape[-1] or 0 in (support.shape[-2], support.shape[-1]):
        raise InputError(
            f"query features of shape {tuple(query.shape)} can't be reconstructed from support "
            f"features of shape {tuple(support.shape)}: both need the same channels, and the "
            "support at least one place"
        )
    kind = torch.promote_types(torch.promote_types(query.dtype, support.dtype), torch.float32)
    return query.to(kind), support.to(kind)


def _with_penalty(gram: Tensor, penalty: Tensor | float) -> Tensor:
    identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    return gram + torch.as_tensor(penalty, dtype=gram.dtype, device=gram.device) * identity
