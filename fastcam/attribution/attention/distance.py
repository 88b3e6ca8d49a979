"""Mean attention distance: how far, in pixels, each head looks.

Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", figure 11 (right) and appendix D.7: the
distance between the query's patch and all others, averaged with attention as weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fastcam.attribution.attention.records import Attention, Scores, Weights
from fastcam.attribution.attention.vit_pass import VitPass
from fastcam.attribution.modules import no_autocast
from fastcam.errors import InputError

# Patches whose distances from each other are kept from layer to layer, 16 MiB of them.
_MAX_STORED_PATCHES = 2048


def mean_distance(
    attention: Attention,
    grid: tuple[int, int],
    patch: tuple[int, int],
    prefix: int,
    distances: Tensor | None = None,
) -> Tensor:
    """Mean attention distance (b, h) float32 in pixels of one layer, of each image and head.

    ``grid``: patches (rows, columns), ``patch``: their sides (h, w) in pixels, ``prefix``: tokens
    before them. For every query that is a patch (CLS and registers have no place): the Euclidean
    distance between patch centers, weighted by its attention, renormalized over the patches; then
    the mean over these queries. A query without any weight on patches is left out; where all are,
    the distance is NaN. Blocks of rows are in memory, never the whole matrix of all heads.
    ``distances``: the distances (n, n) of the patches from each other, if they are there already.

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
    patches, example = _patch_attention(attention, prefix)
    # A softmax over all patches: rows sum to 1 as they are, which saves a quarter of the time.
    normalized = isinstance(patches, Scores) and patches.mask is None and not patches.causal
    centers = _centers(grid, patch, example.device)
    total = torch.zeros(b, h, dtype=torch.float64, device=example.device)
    queries = torch.zeros_like(total)
    with torch.no_grad(), no_autocast(example):
        for start, weights in patches.blocks():
            part = slice(start, start + weights.shape[2])
            block_distances = (
                _distances_from(centers, part) if distances is None else distances[part]
            )
            if not normalized:
                mass = weights.sum(-1, keepdim=True)
                nonzero = mass > 0
                weights /= mass.where(nonzero, 1)
            total += weights.flatten(2) @ block_distances.flatten()
            queries += weights.shape[2] if normalized else nonzero.sum((2, 3))
    return (total / queries).float()


def mean_distances(vit_pass: VitPass) -> Tensor:
    """Mean attention distance (b, layers, heads) float32 in pixels, see :func:`mean_distance`.

    Layers are done one after the other. Raises InputError where they differ in heads.
    """
    heads = {layer.attention.shape[1] for layer in vit_pass.layers}
    if len(heads) != 1:
        raise InputError(
            f"layers with different numbers of heads ({sorted(heads)}) can't be put beside each "
            "other; the attention distance needs a plain Vision Transformer"
        )
    distances = None
    if vit_pass.grid[0] * vit_pass.grid[1] <= _MAX_STORED_PATCHES:
        distances = _distances_from(
            _centers(vit_pass.grid, vit_pass.patch, vit_pass.batch.device), slice(None)
        )
    return torch.stack(
        [
            mean_distance(
                layer.attention, vit_pass.grid, vit_pass.patch, vit_pass.prefix, distances
            )
            for layer in vit_pass.layers
        ],
        1,
    )


def _centers(grid: tuple[int, int], patch: tuple[int, int], device: torch.device) -> Tensor:
    """y and x of patch centers (2, n) in pixels, row by row; only their differences count."""
    y = torch.arange(grid[0], device=device, dtype=torch.float32) * patch[0]
    x = torch.arange(grid[1], device=device, dtype=torch.float32) * patch[1]
    return torch.cartesian_prod(y, x).T


def _distances_from(centers: Tensor, part: slice) -> Tensor:
    """Distances (m, n) in pixels of some patches from all."""
    return torch.hypot(*(centers[:, part, None] - centers[:, None]))


def _patch_attention(attention: Attention, prefix: int) -> tuple[Attention, Tensor]:
    """Patches attending to patches, and a tensor of it. Scores are cut before the softmax: where
    CLS takes nearly all weight, float32 would keep nothing of the patches."""
    if isinstance(attention, Weights):
        return Weights(attention.values[:, :, prefix:, prefix:]), attention.values
    if not isinstance(attention, Scores):
        raise TypeError(f"attention is kept as {type(attention).__name__}")
    q, k, mask = attention.q, attention.k, attention.mask
    if mask is not None:
        for axis in range(-min(mask.ndim, 2), 0):
            if mask.shape[axis] > 1:
                mask = mask.narrow(axis, prefix, mask.shape[axis] - prefix)
    cut = Scores(q[:, :, prefix:], k[:, :, prefix:], attention.scale, mask, attention.causal)
    return cut, q
