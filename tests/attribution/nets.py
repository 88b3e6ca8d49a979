"""Small networks with one awkward thing each, and a plain one."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn


class Small(nn.Module):
    """Two stages, in-place ReLUs between and after them; ``dims`` 2 or 3."""

    def __init__(self, dims: int = 2, outputs: int = 5, channels: int = 3) -> None:
        super().__init__()
        conv = nn.Conv2d if dims == 2 else nn.Conv3d
        norm = nn.BatchNorm2d if dims == 2 else nn.BatchNorm3d
        self.one = nn.Sequential(conv(channels, 6, 3, padding=1), norm(6))
        self.relu = nn.ReLU(inplace=True)
        self.two = nn.Sequential(conv(6, 8, 3, 2, padding=1), norm(8))
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, outputs)

    def features(self, x: Tensor) -> Tensor:
        found: Tensor = self.relu(self.two(self.relu(self.one(x))))
        return found

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.drop(self.features(x).flatten(2).mean(2)))
        return logits


class Pair(nn.Module):
    """A layer that returns (tensor, tensor)."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.square(), x


class Answer(nn.Module):
    """A layer that returns a mapping with other things in it."""

    def forward(self, x: Tensor) -> OrderedDict[str, Any]:
        return OrderedDict(note="text", logits=x, ids=torch.arange(3))


class Wrapped(nn.Module):
    """Layers whose outputs are tuples and mappings."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.pair = Pair()
        self.answer = Answer()

    def forward(self, x: Tensor) -> Any:
        squared, plain = self.pair(self.conv(x))
        return self.answer((squared * plain).mean((2, 3)))


class Branches(nn.Module):
    """Two branches beside each other, and a layer that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(3, 4, 3)
        self.right = nn.Conv2d(3, 4, 3)
        self.unused = nn.Conv2d(3, 4, 3)
        self.ignored = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.ignored(x)
        return (self.left(x) * self.right(x)).mean((2, 3))


class Tokens(nn.Module):
    """A transformer of one block and a prefix; ``pool`` cls or mean."""

    def __init__(self, pool: str = "cls", prefix: int = 1) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, 8))
        self.reg_token = nn.Parameter(torch.randn(1, prefix - 1, 8))
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 5)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).flatten(2).mT
        prefix = torch.cat([self.cls_token, self.reg_token], 1).expand(len(x), -1, -1)
        tokens = self.norm(self.blocks(torch.cat([prefix, tokens], 1)))
        start = prefix.shape[1]
        found = tokens[:, 0] if self.pool == "cls" else tokens[:, start:].mean(1)
        logits: Tensor = self.head(found)
        return logits


class Block(nn.Module):
    """Attention of one head, with a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).chunk(3, -1)
        return x + nn.functional.scaled_dot_product_attention(q, k, v)


def autograd_maps(model: Small, x: Tensor, classes: list[int]) -> tuple[Tensor, Tensor]:
    """Activations and gradients of ``Small``'s last features, by autograd over the whole model."""
    features = model.features(x)
    features.retain_grad()
    logits = model.head(features.flatten(2).mean(2))
    torch.stack([row[c] for row, c in zip(logits, classes, strict=True)]).sum().backward()
    assert features.grad is not None
    return features.detach(), features.grad
