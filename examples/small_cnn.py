"""A small CNN as a model file: ``--model examples/small_cnn.py:build``."""

from torch import nn


def build(num_classes: int = 2, in_channels: int = 3) -> nn.Module:
    """Three stages of stride 2. ``--num-classes`` and ``--in-channels`` are passed on."""
    layers: list[nn.Module] = []
    for width in (16, 32, 64):
        layers += [nn.Conv2d(in_channels, width, 3, stride=2, padding=1), nn.BatchNorm2d(width)]
        layers += [nn.ReLU()]
        in_channels = width
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(in_channels, num_classes)
    )
