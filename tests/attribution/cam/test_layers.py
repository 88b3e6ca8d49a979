"""Layers with maps, the one that is taken by default, and names that don't exist."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from fastcam.attribution.cam.layers import candidates, default_layer, layer_modules
from fastcam.errors import InputError

from ...torchvision_import import torchvision  # isort: skip
from ..nets import Branches, Small, Tokens

import timm  # isort: skip

IMAGE = torch.zeros(1, 3, 64, 64)


def test_candidates_of_a_resnet() -> None:
    model = torchvision.models.resnet18(weights=None).train()
    found = {c.name: c for c in candidates(model, IMAGE)}
    assert found["layer1"].shape == (64, 16, 16)
    assert found["layer4"].shape == (512, 2, 2)
    assert found["layer4"].kind == "Sequential"
    # The block and its stage return the same tensor; pooling only thins out.
    assert "layer4.1" not in found
    assert not {"maxpool", "avgpool", "fc"} & set(found)
    assert list(found)[-1] == default_layer(model, IMAGE) == "layer4"
    assert model.training
    assert not any(m._forward_hooks for m in model.modules())


def test_calls_are_counted() -> None:
    found = {c.name: c for c in candidates(Small(), IMAGE)}
    assert found["relu"].calls == 2
    assert found["relu"].shape == (8, 32, 32)
    assert found["two"].calls == 1


def test_volumes() -> None:
    model = Small(3)
    found = candidates(model, torch.zeros(1, 3, 4, 8, 8))
    assert found[-1].shape == (8, 2, 4, 4)
    assert default_layer(model, torch.zeros(1, 3, 4, 8, 8)) == "relu"


@pytest.mark.parametrize(
    ("name", "small", "layer", "shape"),
    [
        ("vit_tiny_patch16_224", {"depth": 2}, "blocks.1.norm1", (192, 14, 14)),
        (
            "swin_tiny_patch4_window7_224",
            {"depths": (1, 1, 1, 1), "embed_dim": 12, "num_heads": (1, 2, 2, 2)},
            "norm",
            (96, 7, 7),
        ),
        ("convnext_atto", {"depths": (1, 1, 1, 1)}, "stages", (320, 7, 7)),
    ],
)
def test_the_layer_taken_by_default(
    name: str, small: dict[str, Any], layer: str, shape: tuple[int, ...]
) -> None:
    model = timm.create_model(name, pretrained=False, **small)
    example = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    assert default_layer(model, example) == layer
    found = {c.name: c for c in candidates(model, example)}
    assert found[layer].shape == shape


def test_the_pooling_of_a_transformer_decides() -> None:
    example = torch.randn(1, 3, 16, 16)
    assert default_layer(Tokens("cls"), example) == "blocks.1.norm1"
    assert default_layer(Tokens("mean"), example) == "norm"
    assert default_layer(Tokens("cls", prefix=5), example) == "blocks.1.norm1"


def test_a_head_of_zeros_and_branches() -> None:
    model = Tokens("mean")
    nn.init.zeros_(model.head.weight)
    assert default_layer(model, torch.randn(1, 3, 16, 16)) == "norm"
    assert default_layer(Branches(), IMAGE) == "right"


def test_a_model_without_positions() -> None:
    with pytest.raises(InputError, match=r"Sequential: no layer gives a grid of positions"):
        default_layer(nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 2)), IMAGE)


def test_names() -> None:
    model = torchvision.models.resnet18(weights=None)
    assert list(layer_modules(model, ["layer4", "layer1.0.conv1"])) == ["layer4", "layer1.0.conv1"]
    with pytest.raises(InputError, match=r"'layer5' does not exist in ResNet: .*layer4"):
        layer_modules(model, ["layer4", "layer5"])
    with pytest.raises(InputError, match=r"did you mean 0\.layer4\?"):
        layer_modules(nn.Sequential(model), ["layer4"])
    with pytest.raises(InputError, match=r"'layer9' does not exist in Sequential: it has 0, 1 \("):
        layer_modules(nn.Sequential(nn.ReLU(), nn.Linear(1, 1)), ["layer9"])
    with pytest.raises(InputError, match="'' does not exist"):
        layer_modules(model, [""])
