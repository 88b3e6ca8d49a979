"""A 3-D network for volumes of one channel:

    fastcam infer scans/ --model examples/volume_net.py:build \
        --image-size 32x32x32 --mean 0 --std 1 --output-dir run
"""

from torch import nn


def build(num_classes: int = 2, in_channels: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(in_channels, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv3d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(16, num_classes),
    )
