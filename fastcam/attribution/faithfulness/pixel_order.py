"""In which order the pixels of an image are deleted, and what insertion starts from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def pixel_ranks(values: Tensor, size: Sequence[int], generator: torch.Generator) -> Tensor:
    """For each pixel of ``size`` its place in the order, 0 for the highest value: int64."""
    mode = "bilinear" if len(size) == 2 else "trilinear"
    large = nn.functional.interpolate(
        values[None, None], size=tuple(size), mode=mode, align_corners=False
    ).reshape(-1)
    # A rectified map is 0 in many places; in the array's order those would go from the top down.
    mixed = torch.randperm(large.numel(), generator=generator).to(large.device)
    order = mixed[large[mixed].argsort(descending=True, stable=True)]
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order), device=order.device)
    return ranks.reshape(tuple(size))


def center_map(size: Sequence[int]) -> Tensor:
    """Highest in the middle and lower with the distance, in shares of each side."""
    sides = [(torch.arange(n) + 0.5) / n - 0.5 for n in size]
    return -torch.stack(torch.meshgrid(*sides, indexing="ij")).square().sum(0)


def blurred(image: Tensor, share: float) -> Tensor:
    from scipy.ndimage import gaussian_filter

    sigma = share * min(image.shape[1:])
    plain = image.float().cpu().numpy()
    smooth = gaussian_filter(plain, (0.0, *[sigma] * (image.ndim - 1)), mode="nearest")
    return torch.from_numpy(smooth).to(image)


def map_failure(values: Tensor) -> str:
    """Why a map gives no order of the pixels; empty where it does."""
    if not bool(values.isfinite().all()):
        return "the map is not finite (NaN or infinite)"
    return "the map has one value everywhere" if bool((values == values.flatten()[0]).all()) else ""
