"""The blocks of the few-shot network: on the grid of patches, then for the class token."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor, nn

from fastcam.models.fewshot.overlap_attention import OverlapAttention
from fastcam.models.fewshot.settings import FewshotSettings
from fastcam.models.fewshot.window_attention import WindowAttention
from fastcam.models.vit import Mlp

_EPS = 1e-6


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


class MixedBlock(nn.Module):
    """(b, h, w, dim) -> the same: window attention, channel attention, MLP, each added to its
    input, normed before. Odd blocks are shifted."""

    def __init__(self, settings: FewshotSettings, index: int) -> None:
        super().__init__()
        trunk = settings.trunk
        self.norm1 = nn.LayerNorm(trunk.dim, eps=_EPS)
        self.window = WindowAttention(
            trunk.dim, trunk.heads, trunk.grid, settings.window, shifted=index % 2 == 1
        )
        self.norm2 = nn.LayerNorm(trunk.dim, eps=_EPS)
        self.channel = ChannelAttention(trunk.dim)
        self.norm3 = nn.LayerNorm(trunk.dim, eps=_EPS)
        self.mlp = Mlp(trunk)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.window(self.norm1(x))
        x = x + self.channel(self.norm2(x))
        out: Tensor = x + self.mlp(self.norm3(x))
        return out


class OverlapBlock(nn.Module):
    """(b, h, w, dim) -> the same: overlapping cross-attention, then an MLP, each added."""

    def __init__(self, settings: FewshotSettings) -> None:
        super().__init__()
        trunk = settings.trunk
        self.norm1 = nn.LayerNorm(trunk.dim, eps=_EPS)
        self.attn = OverlapAttention(
            trunk.dim, trunk.heads, trunk.grid, settings.window, settings.enlarged
        )
        self.norm2 = nn.LayerNorm(trunk.dim, eps=_EPS)
        self.mlp = Mlp(trunk)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class ClassAttention(nn.Module):
    """The class token's query against all tokens (b, n, dim) -> (b, 1, dim) (CaiT, Touvron et al.
    2021, eq. 5 to 7)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.num_heads, self.head_dim = heads, dim // heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        b, n, dim = tokens.shape
        q = self.q(tokens[:, :1]).reshape(b, 1, self.num_heads, self.head_dim).transpose(1, 2)
        kv = self.kv(tokens).reshape(b, n, 2, self.num_heads, self.head_dim)
        k, v = kv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(b, 1, dim))
        return out


class ClassTokenUpdate(nn.Module):
    """Tokens (b, n, dim), the class token first -> the same with that one brought up to date.

    Window, channel and overlapping attention touch patches only: without this block the class
    token would know the image as it was before them.
    """

    def __init__(self, settings: FewshotSettings) -> None:
        super().__init__()
        trunk = settings.trunk
        self.norm1 = nn.LayerNorm(trunk.dim, eps=_EPS)
        self.attn = ClassAttention(trunk.dim, trunk.heads)
        self.norm2 = nn.LayerNorm(trunk.dim, eps=_EPS)
        self.mlp = Mlp(trunk)

    def forward(self, tokens: Tensor) -> Tensor:
        cls = tokens[:, :1] + self.attn(self.norm1(tokens))
        cls = cls + self.mlp(self.norm2(cls))
        return torch.cat([cls, tokens[:, 1:]], dim=1)
