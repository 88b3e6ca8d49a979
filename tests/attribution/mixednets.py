"""Mixed-attention networks as people write them: HAT's blocks with their own softmax, and CBAM."""

from __future__ import annotations

import torch
from torch import Tensor, nn

DIM, HEADS, SIDE = 8, 2, 4


def cut(x: Tensor, side: int) -> Tensor:
    """(b, h, w, c) to (b · windows, side², c)."""
    b, h, w, c = x.shape
    x = x.view(b, h // side, side, w // side, side, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, side * side, c)


def joined(windows: Tensor, side: int, h: int, w: int) -> Tensor:
    x = windows.view(-1, h // side, w // side, side, side, windows.shape[-1])
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, h, w, windows.shape[-1])


class Inner(nn.Module):
    """Attention of tokens that are cut into windows already; the softmax is a module."""

    def __init__(self) -> None:
        super().__init__()
        self.window_size = (SIDE, SIDE)
        self.qkv = nn.Linear(DIM, 3 * DIM)
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, HEADS, c // HEADS).permute(2, 0, 3, 1, 4)
        weights = self.softmax(q * (c // HEADS) ** -0.5 @ k.transpose(-2, -1))
        return (weights @ v).transpose(1, 2).reshape(b, n, c)


class Gate(nn.Module):
    """HAT's channel attention: squeeze-and-excitation by 1×1 convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(DIM, 4, 1),
            nn.ReLU(),
            nn.Conv2d(4, DIM, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        gated: Tensor = x * self.attention(x)
        return gated


class Hybrid(nn.Module):
    """Shifted windows beside channel attention, on tokens (b, h·w, c)."""

    def __init__(self, shift: int) -> None:
        super().__init__()
        self.window_size, self.shift_size = SIDE, shift
        self.attn = Inner()
        self.conv_block = Gate()

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        grid = x.view(len(x), *size, DIM)
        gated = self.conv_block(grid.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        rolled = torch.roll(grid, (-self.shift_size, -self.shift_size), (1, 2))
        windows = self.attn(cut(rolled, SIDE))
        back = torch.roll(joined(windows, SIDE, *size), (self.shift_size, self.shift_size), (1, 2))
        return x + (back + 0.1 * gated).flatten(1, 2)


class Overlapping(nn.Module):
    """HAT's overlapping cross-attention; what is outside the image takes part as zeros."""

    def __init__(self, stated: bool = True, reach: int = 1) -> None:
        super().__init__()
        self.reach = reach
        if stated:
            self.window_size, self.overlap_win_size = SIDE, SIDE + 2 * reach
        self.qkv = nn.Linear(DIM, 3 * DIM)
        self.unfold = nn.Unfold(SIDE + 2 * reach, stride=SIDE, padding=reach)
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        b, _, c = x.shape
        q, kv = self.qkv(x).view(b, *size, 3 * c).split((c, 2 * c), -1)
        parts = self.unfold(kv.permute(0, 3, 1, 2))
        side = SIDE + 2 * self.reach
        parts = parts.view(b, 2, HEADS, c // HEADS, side**2, -1).permute(1, 0, 5, 2, 4, 3)
        k, v = parts.flatten(1, 2)
        queries = cut(q, SIDE).view(-1, SIDE**2, HEADS, c // HEADS).transpose(1, 2)
        weights = self.softmax(queries * (c // HEADS) ** -0.5 @ k.transpose(-2, -1))
        out = (weights @ v).transpose(1, 2).reshape(-1, SIDE**2, c)
        return x + joined(out, SIDE, *size).flatten(1, 2)


class Hat(nn.Module):
    """Images (b, 3, 8, 12) to (b, 5): two hybrid blocks, the second shifted, and the overlap."""

    def __init__(self, stated: bool = True) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, DIM, 3, padding=1)
        self.blocks = nn.ModuleList([Hybrid(0), Hybrid(2)])
        self.overlap_attn = Overlapping(stated)
        self.head = nn.Linear(DIM, 5)

    def forward(self, x: Tensor) -> Tensor:
        features = self.stem(x)
        size = features.shape[2], features.shape[3]
        tokens = features.flatten(2).transpose(1, 2)
        for block in self.blocks:
            tokens = block(tokens, size)
        answer: Tensor = self.head(self.overlap_attn(tokens, size).mean(1))
        return answer


class Cbam(nn.Module):
    """Channel gate, then one of places, which is no channel's (Woo et al. 2018, eq. 1 to 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, DIM, 3, padding=1)
        self.mlp = nn.Sequential(nn.Linear(DIM, 4), nn.ReLU(), nn.Linear(4, DIM))
        self.conv = nn.Conv2d(2, 1, 3, padding=1)
        self.head = nn.Linear(DIM, 5)

    def forward(self, x: Tensor) -> Tensor:
        f = self.stem(x)
        s = torch.sigmoid(self.mlp(f.mean((2, 3))) + self.mlp(f.amax((2, 3))))
        f = f * s[..., None, None]
        places = torch.sigmoid(self.conv(torch.cat([f.mean(1, True), f.amax(1, True)], 1)))
        answer: Tensor = self.head((f * places).mean((2, 3)))
        return answer
