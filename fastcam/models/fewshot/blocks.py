"""The blocks of the few-shot network: on the grid of patches, then for the class token.

DRFF, the fusion, is depthwise convolutions of three sizes, weighted by what is in the image.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor, nn

from fastcam.models.fewshot.settings import FewshotSettings
from fastcam.models.fewshot.window_attention import OverlapAttention, WindowAttention
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
