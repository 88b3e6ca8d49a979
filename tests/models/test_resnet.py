"""The ResNets give what torchvision's give with the same weights."""

from __future__ import annotations

import pytest
import torch

from fastcam.errors import InputError
from fastcam.models.resnet import ResNet, build_resnet
from fastcam.models.sizes import Sizes

from ..torchvision_import import torchvision


def theirs(name: str, classes: int, channels: int):
    torch.manual_seed(1)
    model = torchvision.models.get_model(name, weights=None, num_classes=classes)
    if channels != 3:
        model.conv1 = torch.nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return model.eval()


@pytest.mark.parametrize(
    ("name", "classes", "channels"),
    [("resnet18", 1000, 3), ("resnet18", 2, 1), ("resnet34", 5, 6), ("resnet50", 10, 3)],
)
def test_same_as_torchvision(name: str, classes: int, channels: int) -> None:
    model = theirs(name, classes, channels)
    state = model.state_dict()
    made = build_resnet(name, state, Sizes(), "x").eval()
    assert list(made.state_dict()) == list(state)
    made.load_state_dict(state)
    images = torch.randn(2, channels, 38, 64)
    with torch.no_grad():
        assert torch.equal(made(images), model(images))
        assert made(images).shape == (2, classes)
    assert (made.in_channels, made.num_classes) == (channels, classes)


def test_sizes_asked_for() -> None:
    made = build_resnet("resnet18", None, Sizes(num_classes=4, in_channels=2), "x")
    assert made(torch.zeros(2, 2, 32, 32)).shape == (2, 4)
    default = ResNet("resnet18")
    assert (default.conv1.in_channels, default.fc.out_features) == (3, 1000)


def test_no_resnet_in_the_checkpoint() -> None:
    with pytest.raises(InputError, match=r"w\.pth: is for another architecture than resnet34"):
        build_resnet("resnet34", {"features.0.weight": torch.zeros(1)}, Sizes(), "w.pth")
