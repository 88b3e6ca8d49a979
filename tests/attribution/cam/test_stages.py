"""The last layer of each stage, of networks whose stages are known."""

from __future__ import annotations

import warnings

import pytest
import torch

from fastcam.attribution.cam.stages import stage_layers
from fastcam.models.registry import load_model

from ...torchvision_import import torchvision
from ..nets import Small

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import timm

TORCHVISION = {
    "resnet18": ["layer1.1.conv2", "layer2.1.conv2", "layer3.1.conv2", "layer4.1.conv2"],
    "resnet50": ["layer1.2.conv3", "layer2.3.conv3", "layer3.5.conv3", "layer4.2.conv3"],
    "vgg16_bn": ["features.3", "features.10", "features.20", "features.30", "features.40"],
    "densenet121": [*(f"features.transition{i}.conv" for i in (1, 2, 3)), "features.denseblock4"],
    "convnext_tiny": [
        "features.1.2.block.0",
        "features.3.2.block.0",
        "features.5.8.block.0",
        "features.7.2.block.0",
    ],
    "googlenet": ["conv3.conv", "inception3b", "inception4e", "inception5b"],
}
TIMM = {
    "convnext_atto": [f"stages.{i}.blocks.{n}.mlp.fc2" for i, n in enumerate((1, 1, 5, 1))],
    "vit_tiny_patch16_224": ["blocks.2", "blocks.5", "blocks.8", "blocks.11.norm1"],
    "swin_tiny_patch4_window7_224": ["layers.0", "layers.1", "layers.2", "norm"],
}


@pytest.mark.parametrize("name", list(TORCHVISION))
def test_torchvision(name: str) -> None:
    model = getattr(torchvision.models, name)(weights=None).eval()
    assert list(stage_layers(model, torch.zeros(1, 3, 64, 64))) == TORCHVISION[name]


@pytest.mark.parametrize("name", list(TIMM))
def test_timm(name: str) -> None:
    model = timm.create_model(name, pretrained=False).eval()
    side = 224 if name.endswith("224") else 64
    assert list(stage_layers(model, torch.randn(1, 3, side, side))) == TIMM[name]


def test_within_a_model_that_holds_the_backbone() -> None:
    with pytest.warns(UserWarning, match="random"):
        inner = load_model("resnet18", num_classes=2)

    class Held(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = inner

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.backbone(x)
            return found

    found = stage_layers(Held().eval(), torch.zeros(1, 3, 64, 64))
    assert found[0] == "backbone.layer1.1.conv2"
    assert found[-1] == "backbone.layer4.1.conv2"


def test_a_net_of_two_stages_keeps_both_and_its_state() -> None:
    model = Small().train()
    assert list(stage_layers(model, torch.zeros(1, 3, 16, 16))) == ["one.0", "two.0"]
    assert all(module.training for module in model.modules())
    assert all(not module._forward_hooks for module in model.modules())


def test_a_volume_net() -> None:
    assert list(stage_layers(Small(dims=3), torch.zeros(1, 3, 8, 8, 8))) == ["one.0", "two.0"]
