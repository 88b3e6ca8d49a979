"""A small convolutional network of one output, for the made-up faces of ``age_set``.

``--model path/to/age_net.py:AgeNet``. Each cell of its last layer sees 31 pixels of 96, and the
output is the mean over the cells, so its maps can say where an age comes from. A ResNet-18 learns
the same faces as well, but each cell of its last stage sees the whole picture.
"""

from __future__ import annotations

from torch import Tensor, nn

WIDTH = 16  # channels of the first layer


class AgeNet(nn.Module):
    """Images (b, 3, h, w) float to (b, 1), years; ``layer4`` is 8 times coarser than the image."""

    image_size = 96

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.layer1 = _layer(3, width, 2)
        self.layer2 = _layer(width, 2 * width, 2)
        self.layer3 = _layer(2 * width, 4 * width, 2)
        self.layer4 = _layer(4 * width, 4 * width, 1)
        self.fc = nn.Linear(4 * width, 1)

    def features(self, x: Tensor) -> Tensor:
        """What the mean is taken of: (b, channels, h / 8, w / 8), 0 or more."""
        features: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return features

    def forward(self, x: Tensor) -> Tensor:
        years: Tensor = self.fc(self.features(x).mean((2, 3)))
        return years


def _layer(channels: int, out: int, stride: int) -> nn.Sequential:
    # The first one looks at 5x5 pixels.
    size = 5 if channels == 3 else 3
    convolution = nn.Conv2d(channels, out, size, stride, size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU())
