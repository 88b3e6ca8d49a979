"""Attention within windows of tokens, and from windows to larger ones around them.

Within windows it is Swin's (Liu et al. 2021, section 3.2), to larger ones HAT's overlapping
cross-attention (Chen et al. 2023, section 3.2.3). Windows lie row by row over the grid; the tokens
within one too. Sizes are in tokens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor, nn


def window_partition(x: Tensor, window: int) -> Tensor:
    """(b, h, w, c) to (b · windows, window², c); ``window`` divides h and w."""
    b, h, w, c = x.shape
    parts = x.reshape(b, h // window, window, w // window, window, c)
    return parts.transpose(2, 3).reshape(-1, window * window, c)


def window_reverse(windows: Tensor, window: int, grid: tuple[int, int]) -> Tensor:
    """The inverse of ``window_partition``: (b · windows, window², c) to (b, h, w, c)."""
    h, w = grid
    parts = windows.reshape(-1, h // window, w // window, window, window, windows.shape[-1])
    return parts.transpose(2, 3).reshape(-1, h, w, windows.shape[-1])


def shift_neighbours(grid: tuple[int, int], window: int, shift: tuple[int, int]) -> Tensor:
    """Which tokens of a window were neighbors before the grid was rolled by minus ``shift``.

    bool (windows, window², window²): the last windows of a rolled grid hold both ends of the
    image, which must not attend to each other (Liu et al. 2021, figure 4).
    """
    rows, columns = (torch.arange(n) >= n - s for n, s in zip(grid, shift, strict=True))
    sides = 2 * rows[:, None].int() + columns[None, :].int()
    sides_of_window = window_partition(sides[None, :, :, None], window)[..., 0]
    return sides_of_window[:, :, None] == sides_of_window[:, None, :]


def window_unfold(x: Tensor, window: int, enlarged: int) -> Tensor:
    """(b, h, w, c) to (b · windows, enlarged², c): around each window, 0 outside the grid."""
    b, c = x.shape[0], x.shape[3]
    padding = (enlarged - window) // 2
    parts = F.unfold(x.permute(0, 3, 1, 2), enlarged, padding=padding, stride=window)
    return parts.reshape(b, c, enlarged**2, -1).permute(0, 3, 2, 1).reshape(-1, enlarged**2, c)


def inside_grid(grid: tuple[int, int], window: int, enlarged: int) -> Tensor:
    """bool (windows, enlarged²): which tokens of the enlarged windows lie on the grid."""
    return window_unfold(torch.ones(1, *grid, 1), window, enlarged)[..., 0] > 0


def relative_index(window: int, enlarged: int) -> Tensor:
    """int64 (window², enlarged²): which row of a bias table a pair of query and key reads.

    Keys lie in a window of ``enlarged`` around the queries' one. A row stands for a distance
    query minus key in (y, x), the table has (window + enlarged - 1)² of them; with ``enlarged`` =
    ``window`` it is Swin's.
    """
    reach = (enlarged - window) // 2
    queries, keys = _coordinates(window), _coordinates(enlarged) - reach
    distance = queries[:, None] - keys[None, :] + window - 1 + reach
    return distance[..., 0] * (window + enlarged - 1) + distance[..., 1]


def _coordinates(side: int) -> Tensor:
    steps = torch.arange(side)
    return torch.cartesian_prod(steps, steps)


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
