"""One layer of attention rollout, taken backwards: v ← v·A', A' the rows of (A + I), normalized.

Going from the last layer to the first with one vector, instead of multiplying matrices, needs no
matrix of all tokens at once: rows of A = softmax(scale · Q Kᵀ) are made again from queries and
keys, a block of them at a time. Abnar & Zuidema 2020, section 3 and equation 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

import torch
from torch import Tensor

from fastcam.attribution.attention.records import Attention, Scores, Weights
from fastcam.attribution.modules import no_autocast
from fastcam.attribution.request import Fusion

# What is kept of a layer: queries and keys, or heads fused already, (b, n, n) float32.
Layer = Attention | Tensor

# Numbers in a block of recomputed rows, for each CPU thread, and on an accelerator. ViT-S/16 at
# 4097 tokens on one core: 2 MiB are 1.1, 1.2 and 1.6 times as fast as 1, 4 and 16 MiB.
_CPU_BLOCK = 1 << 19
_DEVICE_BLOCK = 1 << 26


def keeps_matrix(attention: Attention) -> bool:
    """Whether the fused matrix is kept of a layer, rather than its queries and keys.

    The one place of this choice. Up to where all heads of an image fit into one block (ViT-S: 295
    tokens) both take the same time, and the matrix takes less memory; above, recomputing blocks
    is faster (577 tokens: 1.27 against 1.37 of the forward pass). Weights that the model made
    itself are fused in any case: keeping every head would be more.
    """
    _, h, n, m = attention.shape
    return not isinstance(attention, Scores) or h * n * m <= _CPU_BLOCK


def attend_and_fuse(scores: Scores, value: Tensor) -> tuple[Tensor, Tensor] | None:
    """Attention made here, (b, h, n, d), and its weights' mean of heads (b, n, n), in float32.

    ``value`` (b, h, m, d). None where PyTorch's own kernel and recomputing are better. One image
    of ViT-S at 197 tokens, on one core: PyTorch's fused kernel takes 1.55 ms and the weights once
    more beside it 1.7, both from here 1.75. On an accelerator the fused kernel wins by far.
    """
    _, h, n, m = scores.shape
    q, k, d = scores.q, scores.k, value.shape[-1]
    small = n == m and h * n * m <= _CPU_BLOCK and q.device.type == "cpu"
    same = q.dtype == k.dtype == value.dtype == torch.float32 and value.shape[1] == h
    if not (small and same and _plain(scores)) or torch.is_autocast_enabled("cpu"):
        return None
    output = q.new_empty((len(q), n, h, d)).transpose(1, 2)
    fused = q.new_empty((len(q), n * m))
    block = q.new_empty((h, n, m))
    share = q.new_full((1, h), 1 / h)
    for image in range(len(q)):
        torch.baddbmm(block, q[image], k[image].mT, beta=0, alpha=scores.scale, out=block)
        torch.softmax(block, -1, out=block)
        output[image] = torch.bmm(block, value[image])
        # The mean as a product: 0.05 ms, where mean() takes 0.08.
        torch.mm(share, block.view(h, -1), out=fused[image : image + 1])
    return output, fused.view(-1, n, m)


def keep_layer(attention: Attention, fusion: Fusion, discard_ratio: float) -> Layer:
    """What rollout needs of a layer, in memory of its own."""
    if not keeps_matrix(attention):
        return attention.clone()
    with no_autocast(_tensor_of(attention)):
        return fused_matrix(attention, fusion, discard_ratio)


def fused_matrix(attention: Attention, fusion: Fusion, discard_ratio: float = 0.0) -> Tensor:
    """Heads fused (b, n, m) float32, the lowest entries of each image set to zero."""
    b, _, n, m = attention.shape
    fused = torch.empty((b, n, m), dtype=torch.float32, device=_tensor_of(attention).device)
    for images, start, rows in _row_blocks(attention):
        _fuse(rows, fusion, fused[images, start : start + rows.shape[2]])
    if discard_ratio:
        for image in fused:
            _discard(image, discard_ratio)
    return fused


def backward_row(layer: Layer, query: int, fusion: Fusion, discard_ratio: float) -> Tensor:
    """Row ``query`` (b, n) of A': the step from a v that is 1 there and 0 elsewhere."""
    if isinstance(layer, Tensor):
        row = layer[:, query].clone()
    elif discard_ratio:
        row = torch.cat(
            [
                fused_matrix(image_attention, fusion, discard_ratio)[:, query]
                for image_attention in _images(layer)
            ]
        )
    else:
        row = _fuse(layer.row(query)[:, :, None], fusion)[:, 0]
    row[:, query] += 1
    return row / row.sum(-1, keepdim=True)


def backward_step(layer: Layer, v: Tensor, fusion: Fusion, discard_ratio: float) -> Tensor:
    """v·A' (b, n) float32, for ``v`` (b, n) float32.

    With a discard ratio the fused matrix of one image and one layer is in memory, otherwise a
    block of its rows. ``fusion`` and ``discard_ratio`` are not used where the layer is fused.
    For float32 arithmetic the caller turns autocast off, as :func:`rollout` does.
    """
    if isinstance(layer, Tensor):
        return _fused_step(layer, v)
    if discard_ratio:
        pairs = zip(_images(layer), torch.split(v, 1), strict=True)
        return torch.cat([_fused_step(fused_matrix(a, fusion, discard_ratio), w) for a, w in pairs])
    if fusion == "mean" and _plain(layer):
        return _mean_step(layer, v)
    total = torch.zeros_like(v)
    for images, start, rows in _row_blocks(layer):
        fused = _fuse(rows, fusion)
        row_weights = v[images, start : start + fused.shape[1]]
        weight = row_weights / (fused.sum(-1) + 1)
        total[images] += (weight[:, None] @ fused)[:, 0]
        total[images, start : start + fused.shape[1]] += weight
    return total


def _mean_step(layer: Scores, v: Tensor) -> Tensor:
    """Heads need not be fused: each gives v·A, and their mean is taken of the vectors.

    Rows sum to 1 here, so that normalizing A + I is halving it.
    """
    b, h, _, m = layer.shape
    head_vectors = v.new_zeros((b * h, 1, m))
    vectors = v.repeat_interleave(h, 0)[:, None]
    for heads, start, block in _score_blocks(layer):
        head_vectors[heads].baddbmm_(vectors[heads, :, start : start + block.shape[1]], block)
    return (v + head_vectors.view(b, h, m).mean(1)) / 2


def _score_blocks(layer: Scores) -> Iterator[tuple[slice, int, Tensor]]:
    """Triples (which of b·h heads, first row, softmax of the scores (g, r, m)).

    The memory of a block is used again for the next one.
    """
    b, h, n, m = layer.shape
    q = layer.q.reshape(b * h, n, -1).float()
    k = layer.k.reshape(b * h, m, -1).float().mT
    block_size, threads = _block_numbers(q.device), _thread_count(q.device)
    if n * m <= block_size:
        g, r = min(b * h, block_size // (n * m)), n
        g = g // h * h or g  # Whole images where one fits.
    else:
        # A head for each thread: products with a vector, and the softmax of rows that another
        # thread made, gain nothing from a second thread within a head. Two threads at 1025 and 4097
        # tokens: 16.5 ms and 270 a layer, where one head at a time took 26.9 and 400.
        g = max(part for part in range(1, threads + 1) if b * h % part == 0)
        steps = -(-n // max(1, block_size // (g * m)))
        r = -(-n // steps)
    memory = q.new_empty(g * r * m)
    for first in range(0, b * h, g):
        heads = slice(first, min(first + g, b * h))
        for start in range(0, n, r):
            part = q[heads, start : start + r]
            block = memory[: part.shape[0] * part.shape[1] * m].view(*part.shape[:2], m)
            torch.baddbmm(block, part, k[heads], beta=0, alpha=layer.scale, out=block)
            yield heads, start, torch.softmax(block, -1, out=block)


def _row_blocks(attention: Attention) -> Iterator[tuple[slice, int, Tensor]]:
    """Triples (which images, first row, weights of all heads (b', h, r, m)).

    The memory of a block may be used again for the next one.
    """
    b, h, n, m = attention.shape
    if not _plain(attention):
        yield from ((slice(0, b), start, rows) for start, rows in attention.blocks())
    elif h * n * m <= _CPU_BLOCK:
        for heads, start, block in _score_blocks(attention):
            images = slice(heads.start // h, heads.stop // h)
            yield images, start, block.view(-1, h, n, m)
    else:
        for image, image_attention in enumerate(_images(attention)):
            yield from (
                (slice(image, image + 1), start, rows) for start, rows in image_attention.blocks()
            )


def _fuse(rows: Tensor, fusion: Fusion, out: Tensor | None = None) -> Tensor:
    if fusion == "mean":
        return torch.mean(rows, 1, out=out)
    return torch.amax(rows, 1, out=out) if fusion == "max" else torch.amin(rows, 1, out=out)


def _fused_step(fused: Tensor, v: Tensor) -> Tensor:
    weight = v / (fused.sum(-1) + 1)
    return (weight[:, None] @ fused)[:, 0] + weight


def _discard(fused: Tensor, ratio: float) -> None:
    """Set the lowest share of the entries of ``fused`` (n, m) to zero, never the first one.

    As in the script of Gildenblat (github.com/jacobgil/vit-explain): int(n·m·ratio) entries, the
    first (CLS to CLS) counted among them. Of equal entries those that come first are taken.
    """
    flat = fused.view(-1)
    count = int(flat.numel() * ratio)
    if not count:
        return
    first = flat[0].clone()
    limit = flat.kthvalue(count).values
    lowest = flat < limit
    equal = (flat == limit).nonzero()[: count - int(lowest.sum()), 0]
    flat.masked_fill_(lowest, 0)
    flat[equal] = 0
    flat[0] = first


def _plain(attention: Attention) -> TypeGuard[Scores]:
    """Queries and keys head by head, every query sees every key: rows sum to 1."""
    return (
        isinstance(attention, Scores)
        and attention.mask is None
        and not attention.causal
        and attention.q.shape[1] == attention.k.shape[1]
    )


def _images(attention: Attention) -> list[Attention]:
    return [_part(attention, slice(i, i + 1)) for i in range(attention.shape[0])]


def _part(attention: Attention, images: slice) -> Attention:
    if isinstance(attention, Weights):
        return Weights(attention.values[images])
    if not isinstance(attention, Scores):
        raise TypeError(type(attention).__name__)
    mask = attention.mask
    if mask is not None and mask.ndim == 4 and mask.shape[0] > 1:
        mask = mask[images]
    return Scores(attention.q[images], attention.k[images], attention.scale, mask, attention.causal)


def _tensor_of(attention: Attention) -> Tensor:
    """A tensor of it, for its device."""
    if isinstance(attention, Scores):
        return attention.q
    return attention.values if isinstance(attention, Weights) else attention.row(0)


def _block_numbers(device: torch.device) -> int:
    return _CPU_BLOCK * _thread_count(device) if device.type == "cpu" else _DEVICE_BLOCK


def _thread_count(device: torch.device) -> int:
    return torch.get_num_threads() if device.type == "cpu" else 1
