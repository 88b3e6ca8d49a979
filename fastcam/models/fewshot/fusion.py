"""DRFF: depthwise convolutions of three sizes, fused by weights that depend on the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIZES = (3, 5, 7)


class Bottleneck(nn.Module):
    """(…, dim) -> (…, dim) through dim / reduction channels; ``nn.Linear`` over channels is Dai et
    al.'s point-wise convolution. LayerNorm stands for their batch norm: an episode's images must
    not depend on each other."""

    def __init__(self, dim: int, reduction: int) -> None:
        super().__init__()
        hidden = max(dim // reduction, 1)
        self.fc1 = nn.Linear(dim, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.act = nn.ReLU()
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(self.act(self.norm(self.fc1(x))))
        return out


class MultiScaleChannelAttention(nn.Module):
    """x (b, h, w, dim) -> x · σ(L(x) + G(x)): L at each place, G of the mean over all places
    (Dai et al. 2021, eq. 2 and 3)."""

    def __init__(self, dim: int, reduction: int = 4) -> None:
        super().__init__()
        self.local = Bottleneck(dim, reduction)
        self.whole = Bottleneck(dim, reduction)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.local(x) + self.whole(x.mean((1, 2), keepdim=True)))


class Fusion(nn.Module):
    """(b, h, w, dim) -> the same: x + A(Σ_i a_i · conv_i(x)) over depthwise sizes 3, 5 and 7.

    The a_i sum to one over the three in each channel: a softmax of what the mean of all three maps
    says (selective kernels, Li et al. 2019, eq. 5 and 6). A is multi-scale channel attention.
    """

    def __init__(self, dim: int, reduction: int = 8) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.convs = nn.ModuleList(
            nn.Conv2d(dim, dim, size, padding=size // 2, groups=dim) for size in SIZES
        )
        hidden = max(dim // reduction, 1)
        self.fc1 = nn.Linear(dim, hidden)
        self.act = nn.ReLU()
        self.fc2 = nn.Linear(hidden, len(SIZES) * dim)
        self.attention = MultiScaleChannelAttention(dim)

    def forward(self, x: Tensor) -> Tensor:
        features = self.norm(x).permute(0, 3, 1, 2)
        maps = torch.stack([conv(features) for conv in self.convs], dim=1)
        fused = (self._shares(maps) * maps).sum(1)
        out: Tensor = x + self.attention(fused.permute(0, 2, 3, 1))
        return out

    def _shares(self, maps: Tensor) -> Tensor:
        """(b, 3, dim, 1, 1), which sum to one over the three."""
        b, sizes, dim = maps.shape[:3]
        scores = self.fc2(self.act(self.fc1(maps.sum(1).mean((2, 3)))))
        shares: Tensor = scores.reshape(b, sizes, dim, 1, 1).softmax(1)
        return shares
