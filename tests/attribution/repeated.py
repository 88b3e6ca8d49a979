"""Networks that run a module more than once in a forward pass, and the parts they are made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor, nn


class Backbone(nn.Module):
    """Two convolutions with a stride of 2 each, and one ReLU behind both."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.layer2 = nn.Conv2d(4, 5, 3, stride=2, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.relu(self.layer2(self.relu(self.layer1(x))))
        return found


class Halves(nn.Module):
    """A siamese network over the left and the right half of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.head = nn.Linear(10, 3)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        left, right = x.chunk(2, -1)
        return left, right

    def forward(self, x: Tensor) -> Tensor:
        left, right = (self.backbone(part) for part in self.parts(x))
        return self.answer(left, right)

    def answer(self, left: Tensor, right: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.cat([left.mean((2, 3)), right.mean((2, 3)) ** 2], 1))
        return logits


class Views(Halves):
    """The same over two images that lie one behind the other along the channels."""

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[:, :3], x[:, 3:]


class Recurrent(nn.Module):
    """One convolution, three times on what it gave before."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.cell = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        state = self.stem(x)
        for _ in range(3):
            state = torch.tanh(self.cell(state))
        logits: Tensor = self.head(state.mean((2, 3)))
        return logits


class Block(nn.Module):
    """Attention of two heads among tokens (b, n, 8), added to them."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.qkv(x).reshape(len(x), -1, 3, 2, 4).permute(2, 0, 3, 1, 4)
        return q, k, v

    def forward(self, x: Tensor) -> Tensor:
        found = F.scaled_dot_product_attention(*self.heads(x))
        added: Tensor = x + self.out(found.transpose(1, 2).flatten(2))
        return added


class TinyVit(nn.Module):
    """Patches of 8 x 8 pixels and ``depth`` blocks; ``again``: the first one runs so many times."""

    patch_size = (8, 8)

    def __init__(self, depth: int = 2, again: int = 1) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, stride=8)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 8))
        self.blocks = nn.ModuleList(Block() for _ in range(depth))
        self.again = again

    def tokens(self, x: Tensor) -> Tensor:
        patches = self.patches(x).flatten(2).mT
        return torch.cat([self.cls_token.expand(len(x), -1, -1), patches], 1)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.tokens(x)
        for _ in range(self.again - 1):
            tokens = self.blocks[0](tokens)
        for block in self.blocks:
            tokens = block(tokens)
        return tokens[:, 0]


class TwoVits(nn.Module):
    """A siamese Vision Transformer: of two views along the channels, or of the halves."""

    def __init__(self, halves: bool = False) -> None:
        super().__init__()
        self.vit, self.head, self.halves = TinyVit(), nn.Linear(16, 3), halves

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = x.chunk(2, -1 if self.halves else 1)
        return first, second

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.cat([self.vit(part) for part in self.parts(x)], 1))
        return logits
