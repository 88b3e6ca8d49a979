"""A model of two inputs, an image and an age:

    fastcam infer table.csv --model examples/two_inputs.py:build \
        --input image=scan --input age=age --output-dir run

with a table that has the columns scan, a path, and age, a number.
"""

import torch
from torch import Tensor, nn


class ImageAndAge(nn.Module):
    """Images (n, 3, h, w) and ages (n,) to two logits (n, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU()
        )
        self.head = nn.Linear(17, 2)

    def forward(self, image: Tensor, age: Tensor) -> Tensor:
        pooled = self.features(image).mean((2, 3))
        logits: Tensor = self.head(torch.cat([pooled, age[:, None] / 100], 1))
        return logits


def build() -> nn.Module:
    return ImageAndAge()
