"""ResNet-18, -34 and -50, with torchvision's state-dict keys, so that its checkpoints load.

He et al. 2016, "Deep Residual Learning for Image Recognition", Table 1. As in torchvision, the
stride of a bottleneck sits in its 3x3 convolution.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from fastcam.errors import InputError
from fastcam.models.sizes import Sizes

# By these a ResNet's state dict is known.
SIGNATURE_KEYS = ("conv1.weight", "layer1.0.conv1.weight", "layer4.0.downsample.0.weight")


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and the input added; ``planes`` channels come out."""

    expansion = 1

    def __init__(self, channels: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        summed: Tensor = self.relu(out)
        return summed


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and the input added; 4 * ``planes`` channels come out."""

    expansion = 4

    def __init__(self, channels: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels, 4 * planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        summed: Tensor = self.relu(out)
        return summed


@dataclass(frozen=True)
class _Design:
    block: type[BasicBlock] | type[Bottleneck]
    depths: tuple[int, int, int, int]


DESIGNS = {
    "resnet18": _Design(BasicBlock, (2, 2, 2, 2)),
    "resnet34": _Design(BasicBlock, (3, 4, 6, 3)),
    "resnet50": _Design(Bottleneck, (3, 4, 6, 3)),
}


class ResNet(nn.Module):
    """Images (b, c, h, w) float of any size to logits (b, num_classes).

    ``name`` is one of ``DESIGNS``. ``layer1`` to ``layer4`` are 4, 8, 16 and 32 times coarser than
    the image. ``width``: channels of the stem, 64 in the paper; the stages have 1, 2, 4 and 8
    times as many.
    """

    def __init__(
        self, name: str, num_classes: int = 1000, in_channels: int = 3, width: int = 64
    ) -> None:
        super().__init__()
        design = DESIGNS[name]
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.conv1 = nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        stages = []
        channels = width
        for stage, depth in enumerate(design.depths):
            planes = width * 2**stage
            blocks = []
            for index in range(depth):
                stride = 2 if stage and not index else 1
                blocks.append(design.block(channels, planes, stride))
                channels = planes * design.block.expansion
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(self.avgpool(x).flatten(1))
        return logits


def build_resnet(name: str, state: dict[str, Tensor] | None, sizes: Sizes, source: str) -> ResNet:
    """The ResNet that ``state`` is for, in the sizes chosen; its weights are not loaded yet.

    Without a state dict: 1000 classes and 3 channels unless ``sizes`` has others.
    """
    channels, classes, width = sizes.in_channels, sizes.num_classes, 64
    if state is not None:
        stem, head = state.get("conv1.weight"), state.get("fc.weight")
        if stem is None or stem.ndim != 4:
            raise InputError(
                f"{source}: is for another architecture than {name} with torchvision's key names: "
                f"there is no usable conv1.weight among its {len(state)} tensors "
                f"({', '.join(list(state)[:3])}, …)"
            )
        channels, width = channels or stem.shape[1], stem.shape[0]
        classes = classes or (None if head is None else head.shape[0])
    return ResNet(name, classes or 1000, channels or 3, width)


def _shortcut(channels: int, out: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and channels == out:
        return None
    return nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
