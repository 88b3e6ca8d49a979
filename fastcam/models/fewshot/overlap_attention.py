"""Overlapping cross-attention (HAT, Chen et al. 2023, section 3.2.3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor, nn

from fastcam.models.fewshot.windows import (
    inside_grid,
    relative_index,
    window_partition,
    window_reverse,
    window_unfold,
)


class OverlapAttention(nn.Module):
    """(b, h, w, dim) -> the same: queries of each window against keys and values of the enlarged
    window around it, with a bias by relative position.

    Keys outside the grid are hidden. HAT lets them take part as zeros, which hardly matters among
    the many windows of a large image; of 14×14 tokens in windows of 7 with 11×11 keys they would
    be a third. ``window_size`` and ``overlap_win_size`` are sides in tokens, HAT's names.
    """

    relative_position_index: Tensor
    hidden: Tensor

    def __init__(
        self, dim: int, heads: int, grid: tuple[int, int], window: int, enlarged: int
    ) -> None:
        super().__init__()
        self.num_heads, self.head_dim = heads, dim // heads
        self.window_size, self.overlap_win_size = window, enlarged
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        rows = (window + enlarged - 1) ** 2
        self.relative_position_bias_table = nn.Parameter(torch.zeros(rows, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        index = relative_index(window, enlarged)
        self.register_buffer("relative_position_index", index, persistent=False)
        hidden = ~inside_grid(grid, window, enlarged)
        self.register_buffer("hidden", hidden, persistent=False)
        # The table tells only the sum of the two sides; with them a checkpoint tells both.
        self.register_buffer("sides", torch.tensor([window, enlarged]))

    def forward(self, x: Tensor) -> Tensor:
        b, h, w, dim = x.shape
        q = self._heads(window_partition(self.q(x), self.window_size))
        keys_values = window_unfold(self.kv(x), self.window_size, self.overlap_win_size)
        k, v = (self._heads(part) for part in keys_values.chunk(2, dim=-1))
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)
        masked = bias[None].masked_fill(self.hidden[:, None, None, :], -torch.inf)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=masked.repeat(b, 1, 1, 1))
        parts = mixed.transpose(1, 2).reshape(-1, self.window_size**2, dim)
        out: Tensor = self.proj(window_reverse(parts, self.window_size, (h, w)))
        return out

    def _heads(self, parts: Tensor) -> Tensor:
        return parts.reshape(*parts.shape[:2], self.num_heads, self.head_dim).transpose(1, 2)
