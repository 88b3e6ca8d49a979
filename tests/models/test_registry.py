"""A name and a checkpoint make the right model; what can't be is said in one line."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from fastcam.errors import InputError
from fastcam.models.fewshot.build import FewshotOptions
from fastcam.models.fewshot.network import FewshotViT
from fastcam.models.registry import load_model
from fastcam.models.resnet import ResNet
from fastcam.models.training import save_weights
from fastcam.models.vit import VisionTransformer, VitSettings


@pytest.fixture
def vit() -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(
        VitSettings(
            dim=64,
            depth=3,
            heads=1,
            patch_size=(8, 8),
            image_size=(32, 32),
            in_channels=1,
            num_classes=3,
            registers=2,
            layer_scale=True,
            positions_of_prefix=False,
        )
    ).eval()


def saved(model: nn.Module, path: Path, prefix: str = "") -> Path:
    torch.save({"state_dict": {prefix + k: v for k, v in model.state_dict().items()}}, path)
    return path


@pytest.mark.parametrize("prefix", ["", "module.", "net."])
def test_a_vision_transformer_by_its_checkpoint(
    vit: VisionTransformer, tmp_path: Path, prefix: str
) -> None:
    path = saved(vit, tmp_path / "w.pth", prefix)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_model("vit_tiny", path)
    assert isinstance(model, VisionTransformer)
    assert model.settings == replace(vit.settings, mlp_dim=256)
    assert not model.training
    images = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(model(images), vit(images))


def test_lightning_keeps_more_beside_the_model(vit: VisionTransformer, tmp_path: Path) -> None:
    state = {f"model.{key}": value for key, value in vit.state_dict().items()}
    torch.save({"state_dict": state | {"loss.weight": torch.ones(3)}}, tmp_path / "w.ckpt")
    with pytest.raises(InputError, match=r"1 unknown to the model \(loss\.weight\)"):
        load_model("vit_tiny", tmp_path / "w.ckpt")
    with pytest.warns(UserWarning, match=r"loaded in part: 1 unknown .*loss\.weight"):
        model = load_model("vit_tiny", tmp_path / "w.ckpt", allow_partial=True)
    assert torch.equal(model.head.weight, vit.head.weight)  # type: ignore[arg-type]


def test_another_image_size_resamples_the_positions(vit: VisionTransformer, tmp_path: Path) -> None:
    path = saved(vit, tmp_path / "w.pth")
    model = load_model("vit_tiny", path, image_size=(16, 48))
    assert isinstance(model, VisionTransformer)
    assert model.patch_embed.grid_size == (2, 6)
    assert model(torch.zeros(1, 1, 16, 48)).shape == (1, 3)
    with pytest.raises(InputError, match=r"100x100 is not a multiple of .* 8x8"):
        load_model("vit_tiny", path, image_size=100)


def test_names_that_contradict_the_checkpoint(vit: VisionTransformer, tmp_path: Path) -> None:
    path = saved(vit, tmp_path / "w.pth")
    assert load_model("vit_tiny_patch8_heads2", path).blocks[0].attn.num_heads == 2
    with pytest.raises(
        InputError, match=r"has patches of 8x8 pixels, not 16; use --model vit_tiny"
    ):
        load_model("vit_tiny_patch16", path)
    with pytest.raises(InputError, match=r"head\.weight: 3x64 in the file, 5x64 in the model"):
        load_model("vit_tiny", path, num_classes=5)
    with pytest.raises(InputError, match="another architecture than resnet18"):
        load_model("resnet18", path)
    torch.save(ResNet("resnet18").state_dict(), tmp_path / "r.pth")
    with pytest.raises(InputError, match="another architecture than a Vision Transformer"):
        load_model("vit_small", tmp_path / "r.pth")
    with pytest.raises(InputError, match=r"another architecture|of another shape"):
        load_model("resnet50", tmp_path / "r.pth")
    with pytest.raises(InputError, match="80 missing in the file"):
        load_model("resnet34", tmp_path / "r.pth")


def test_a_resnet_by_its_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(0)
    made = ResNet("resnet18", num_classes=4, in_channels=6)
    model = load_model("resnet18", saved(made, tmp_path / "w.pth", "module."))
    assert isinstance(model, ResNet)
    assert (model.in_channels, model.num_classes) == (6, 4)
    assert torch.equal(model.fc.weight, made.fc.weight)


def test_the_patch_attention_model(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="weights are random"):
        made = load_model("patch_attention", num_classes=3)
    model = load_model("patch_attention", saved(made, tmp_path / "w.pth"))
    assert list(model.state_dict()) == list(made.state_dict())


def test_ones_own_module(tmp_path: Path) -> None:
    own = nn.Sequential(nn.Linear(3, 2))
    other = nn.Sequential(nn.Linear(3, 2))
    assert load_model(own) is own
    assert not own.training
    load_model(own, saved(other, tmp_path / "w.pth"))
    assert torch.equal(own[0].weight, other[0].weight)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a module that is given has its own"):
        load_model(own, num_classes=2)


def test_random_weights_are_said() -> None:
    with pytest.warns(UserWarning, match="resnet18: has no checkpoint: its weights are random"):
        load_model("resnet18")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet51", "did you mean resnet50"),
        ("vit_smal", "did you mean vit_small"),
        ("vit_small_16", "did you mean vit_small"),
        ("zzz", "use vit_tiny, .* timm:NAME, .* path/file.py:factory"),
        ("keras:vgg", "'keras:vgg' is not known"),
    ],
)
def test_unknown_names(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_model(name)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"num_classes": 0}, "--num-classes 0 is too small"),
        ({"in_channels": -1}, "--in-channels -1 is too small"),
        ({"image_size": 0}, "--image-size 0 is too small"),
        ({"image_size": (1, 2, 3, 4)}, "has 4 numbers"),
        ({"image_size": (32, 32, 32)}, "but the model takes images"),
    ],
)
def test_sizes_that_can_not_be(sizes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_model("vit_tiny", **sizes)


def test_the_fewshot_network_by_name(tmp_path: Path) -> None:
    torch.manual_seed(0)
    every = FewshotOptions(
        arch="vit_tiny", patch_size=16, use_mab=True, use_ocab=True, use_drff=True
    )
    with pytest.warns(UserWarning, match="fewshot_vit: has no checkpoint"):
        model = load_model("fewshot_vit", image_size=32, num_classes=3, fewshot=every)
    assert isinstance(model, FewshotViT)
    path = tmp_path / "few.safetensors"
    save_weights(model, path)
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        expected = model(x)
        assert torch.equal(load_model("fewshot_vit", path)(x), expected)
        assert torch.equal(load_model("fewshot_vit", path, fewshot=every)(x), expected)
    with pytest.raises(InputError, match=r"few.safetensors: .* use --use-mab --use-ocab --use-drf"):
        load_model("fewshot_vit", path, fewshot=FewshotOptions(use_ocab=True))
    with pytest.raises(InputError, match="--use-drff, --arch: only --model fewshot_vit has this"):
        load_model("resnet18", fewshot=FewshotOptions(arch="vit_tiny", use_drff=True))
