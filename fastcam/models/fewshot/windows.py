"""Windows of a grid of tokens, and the grid of its windows; windows that overlap.

Windows lie row by row over the grid; the tokens within one too. Sizes are in tokens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor


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
    """Which tokens of a window were neighbours before the grid was rolled by minus ``shift``.

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
