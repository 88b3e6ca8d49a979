"""Attention over channels: a gate for each, from what it holds on average and at most."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ChannelAttention(nn.Module):
    """(b, h, w, dim) -> the same: s = σ(MLP(average pool) + MLP(maximum pool)), one MLP for both
    (Woo et al. 2018, CBAM, eq. 2), then a depthwise 3×3 convolution of the gated map s·x.
    """

    def __init__(self, dim: int, reduction: int = 8) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, max(dim // reduction, 1))
        self.act = nn.ReLU()
        self.fc2 = nn.Linear(max(dim // reduction, 1), dim)
        self.conv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        features = x.permute(0, 3, 1, 2)
        pooled = features.mean((2, 3)), features.amax((2, 3))
        average, highest = (self.fc2(self.act(self.fc1(values))) for values in pooled)
        gate = torch.sigmoid(average + highest)
        gated: Tensor = self.conv(gate[:, :, None, None] * features)
        return gated.permute(0, 2, 3, 1)
