"""Mean attention distance: how far, in pixels, each head looks.

Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", figure 11 (right) and appendix D.7: the
distance between the query's patch and all others, averaged with attention as weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fastcam.attribution.precision import exact
from fastcam.attribution.records import Attention, Scores, Weights
from fastcam.attribution.vitpass import VitPass
from fastcam.errors import InputError


def mean_distance(
    attention: Attention, grid: tuple[int, int], patch: tuple[int, int], prefix: int
) -> Tensor:
    """Mean attention distance (b, h) float32 in pixels of one layer, of each image and head.

    ``grid``: patches (rows, columns), ``patch``: their sides (h, w) in pixels, ``prefix``: tokens
    before them. For every query that is a patch (CLS and registers have no place): the Euclidean
    distance between patch centres, weighted by its attention, renormalised over the patches; then
    the mean over these queries. A query without any weight on patches is left out; where all are,
    the distance is NaN. Blocks of rows are in memory, never the whole matrix of all heads.

    Raises InputError where tokens and grid don't agree.
    """
    b, h, n, m = attention.shape
    rows, columns = grid
    count = rows * columns
    if n != m or n != prefix + count:
        raise InputError(
            f"attention of shape {attention.shape} has not {prefix} tokens before a grid of "
            f"{rows}×{columns} patches"
        )
    like = _any_of(attention)
    places = _centres(grid, patch, like.device)
    total = torch.zeros(b, h, dtype=torch.float64, device=like.device)
    queries = torch.zeros_like(total)
    with torch.no_grad(), exact(like):
        for start, block in attention.blocks(prefix):
            weights = block[..., prefix:]
            first = start - prefix
            here = places[:, first : first + weights.shape[2], None]
            far = torch.einsum("bhrn,rn->bhr", weights, torch.hypot(*(here - places[:, None])))
            mass = weights.sum(-1)
            some = mass > 0
            total += (far / mass.where(some, 1)).where(some, 0).sum(-1, dtype=torch.float64)
            queries += some.sum(-1)
    return (total / queries).float()


def mean_distances(seen: VitPass) -> Tensor:
    """Mean attention distance (b, layers, heads) float32 in pixels, see :func:`mean_distance`.

    Layers are done one after the other. Raises InputError where they differ in heads.
    """
    heads = {layer.attention.shape[1] for layer in seen.layers}
    if len(heads) != 1:
        raise InputError(
            f"layers with different numbers of heads ({sorted(heads)}) can't be put beside each "
            "other; the attention distance needs a plain Vision Transformer"
        )
    return torch.stack(
        [
            mean_distance(layer.attention, seen.grid, seen.patch, seen.prefix)
            for layer in seen.layers
        ],
        1,
    )


def _centres(grid: tuple[int, int], patch: tuple[int, int], device: torch.device) -> Tensor:
    """y and x of patch centres (2, n) in pixels, row by row; only their differences count."""
    y = torch.arange(grid[0], device=device, dtype=torch.float32) * patch[0]
    x = torch.arange(grid[1], device=device, dtype=torch.float32) * patch[1]
    return torch.cartesian_prod(y, x).T


def _any_of(attention: Attention) -> Tensor:
    if isinstance(attention, Scores):
        return attention.q
    return attention.given if isinstance(attention, Weights) else attention.row(0)
