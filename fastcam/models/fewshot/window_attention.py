"""Attention within windows of tokens (Swin, Liu et al. 2021, section 3.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor, nn

from fastcam.models.fewshot.windows import (
    relative_index,
    shift_neighbours,
    window_partition,
    window_reverse,
)


class WindowAttention(nn.Module):
    """(b, h, w, dim) -> the same: softmax(q kᵀ / √d + bias) v in each window.

    The bias is read from a table by relative position. A ``shifted`` layer rolls the grid by
    minus half a window first and back afterwards; along an axis of one window there is no shift.
    ``window_size`` and ``shift_size`` are (y, x) in tokens: attention that is recorded here is put
    back into the image by them. ``window`` divides both sides of ``grid``.
    """

    relative_position_index: Tensor
    hidden: Tensor

    def __init__(
        self, dim: int, heads: int, grid: tuple[int, int], window: int, shifted: bool
    ) -> None:
        super().__init__()
        self.num_heads, self.head_dim = heads, dim // heads
        self.window_size = (window, window)
        y, x = (window // 2 if shifted and side > window else 0 for side in grid)
        self.shift_size = (y, x)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        index = relative_index(window, window)
        self.register_buffer("relative_position_index", index, persistent=False)
        hidden = ~shift_neighbours(grid, window, self.shift_size)
        self.register_buffer("hidden", hidden, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        b, h, w, _ = x.shape
        window, (y, right) = self.window_size[0], self.shift_size
        parts = window_partition(torch.roll(x, (-y, -right), (1, 2)), window)
        qkv = self.qkv(parts).reshape(*parts.shape[:2], 3, self.num_heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=self._bias(b))
        out = self.proj(mixed.transpose(1, 2).reshape(parts.shape))
        return torch.roll(window_reverse(out, window, (h, w)), (y, right), (1, 2))

    def _bias(self, batch: int) -> Tensor:
        """(1 or b · windows, heads, n, n): the same for all windows unless some are shifted."""
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)
        if not any(self.shift_size):
            return bias[None]
        masked = bias[None].masked_fill(self.hidden[:, None], -torch.inf)
        return masked.repeat(batch, 1, 1, 1)
