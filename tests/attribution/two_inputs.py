"""Small networks with several inputs, whose parts can be called by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """Two convolutions; a map of 8 channels at half the size."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.last = nn.Conv2d(4, 8, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = torch.relu(self.last(torch.relu(self.first(x))))
        return found


class Siamese(nn.Module):
    """One encoder for two images, and a number an image; answers beside what it compared."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Encoder()
        self.head = nn.Linear(17, 3)

    def forward(self, image: Tensor, prior: Tensor, age: Tensor) -> dict[str, Tensor]:
        pooled = [self.backbone(x).mean((2, 3)) for x in (image, prior)]
        joined = torch.cat([*pooled, age[:, None] / 100], 1)
        return {"embedding": joined, "scores": self.head(joined)}


class TwoEncoders(nn.Module):
    """An encoder for each of two images, then one convolution over both where ``fused``."""

    def __init__(self, fused: bool = False) -> None:
        super().__init__()
        self.of_image, self.of_prior = Encoder(), Encoder()
        self.fusion = nn.Conv2d(16, 8, 1) if fused else nn.Identity()
        self.head = nn.Linear(8 if fused else 16, 3)

    def forward(self, image: Tensor, prior: Tensor) -> Tensor:
        both = torch.cat([self.of_image(image), self.of_prior(prior)], 1)
        found: Tensor = self.head(torch.relu(self.fusion(both)).mean((2, 3)))
        return found


class Paired(nn.Module):
    """A model's answer behind a wider tensor that is none."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        torch.manual_seed(5)
        self.wide = nn.Linear(3, 64)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        answer = self.model(x)
        return self.wide(answer), {"second": answer}
