"""The Vision Transformer gives what timm's gives with the same weights."""

from __future__ import annotations

import pytest
import torch

from fastcam.errors import InputError
from fastcam.models.registry import load_model
from fastcam.models.sizes import Sizes
from fastcam.models.vit import VisionTransformer, VitSettings
from fastcam.models.vit_checkpoint import positions_of, settings_of, with_positions_of

from ..torchvision_import import torchvision  # isort: skip
import timm
from timm.layers import resample_abs_pos_embed

assert torchvision

SMALL = {"embed_dim": 128, "depth": 2, "num_heads": 2, "num_classes": 7}


def theirs(name="vit_tiny_patch16_224", **options):
    """A model of timm with every weight random: zeros would hide tokens and biases."""
    torch.manual_seed(3)
    model = timm.create_model(name, pretrained=False, **options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return model


def ours(model, heads=None, **sizes) -> VisionTransformer:
    state = model.state_dict()
    made = VisionTransformer(settings_of(state, Sizes(**sizes), "their.pth", heads)).eval()
    made.load_state_dict(with_positions_of(state, made, "their.pth"), strict=True)
    return made


def assert_same(one, other, channels=3, size=(224, 224)) -> None:
    images = torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(one(images), other(images), atol=1e-5, rtol=1e-5)


def test_tiny_as_published() -> None:
    model = theirs()
    made = ours(model)
    assert_same(made, model)
    assert made.num_prefix_tokens == 1
    assert made.patch_embed.grid_size == (14, 14)
    assert made.patch_embed.patch_size == (16, 16)
    assert list(made.state_dict()) == list(model.state_dict())


@pytest.mark.parametrize("channels", [1, 6])
def test_other_stems(channels: int) -> None:
    model = theirs(img_size=64, in_chans=channels, **SMALL)
    assert_same(ours(model), model, channels, (64, 64))


def test_registers_without_positions_of_their_own() -> None:
    model = theirs("vit_small_patch14_reg4_dinov2", img_size=56, depth=2, num_classes=5)
    made = ours(model)
    assert_same(made, model, size=(56, 56))
    assert made.num_prefix_tokens == 5
    assert made.settings.layer_scale
    assert not made.settings.positions_of_prefix


def test_registers_with_positions_of_their_own() -> None:
    model = theirs(img_size=64, reg_tokens=2, **SMALL)
    assert_same(ours(model), model, size=(64, 64))


def test_mean_pooling_and_no_class_token() -> None:
    with_token = theirs(img_size=64, global_pool="avg", **SMALL)
    made = ours(with_token)
    assert_same(made, with_token, size=(64, 64))
    assert made.settings.pooled_norm
    pooled = {"global_pool": "avg", "class_token": False, "img_size": 64}
    model = theirs(**pooled, reg_tokens=4, no_embed_class=True, **SMALL)
    assert_same(ours(model), model, size=(64, 64))
    model = theirs(**pooled, fc_norm=False, **SMALL)
    assert_same(ours(model), model, size=(64, 64))


def test_no_bias_other_mlp_no_head_other_heads() -> None:
    options = SMALL | {"num_heads": 4, "num_classes": 0, "mlp_ratio": 3, "qkv_bias": False}
    model = theirs(img_size=(48, 48), patch_size=8, **options)
    assert_same(ours(model, heads=4), model, size=(48, 48))


def test_image_that_is_not_square() -> None:
    model = theirs(img_size=(32, 96), **SMALL)
    assert_same(ours(model, image_size=(32, 96)), model, size=(32, 96))
    with pytest.raises(InputError, match=r"their\.pth: its pos_embed has 13 positions"):
        ours(model)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "vit_small_patch14_reg4_dinov2"])
def test_positions_on_another_grid(name: str) -> None:
    model = theirs(name, img_size=112, depth=1, num_classes=3)
    patch = model.patch_embed.patch_size[0]
    size = (10 * patch, 5 * patch)
    made = ours(model, image_size=size)
    prefix = 0 if model.no_embed_class else 1
    expected = resample_abs_pos_embed(model.pos_embed, [10, 5], num_prefix_tokens=prefix)
    torch.testing.assert_close(made.pos_embed, expected)
    # Loading into a model of timm goes the same way.
    other = theirs(name, img_size=size, depth=1, num_classes=3)
    other.load_state_dict(with_positions_of(model.state_dict(), other, "x"))
    assert_same(made, other, size=size)


def test_positions_that_fit_stay_and_strangers_pass() -> None:
    model = theirs(img_size=64, **SMALL)
    state = model.state_dict()
    assert with_positions_of(state, model, "x") is state
    assert with_positions_of({"a": torch.zeros(1)}, model, "x").keys() == {"a"}
    assert with_positions_of(state, torch.nn.Linear(1, 1), "x") is state


def test_which_rows_are_the_grid() -> None:
    def rows(count: int, registers: int, image_size=None):
        state = {"pos_embed": torch.zeros(1, count, 4), "cls_token": torch.zeros(1, 1, 4)}
        state["patch_embed.proj.weight"] = torch.zeros(4, 3, 8, 8)
        if registers:
            state["reg_token"] = torch.zeros(1, registers, 4)
        found = positions_of(state, image_size, "x")
        return found.prefix, found.grid

    assert rows(17, 0) == (1, (4, 4))
    assert rows(16, 0) == (0, (4, 4))
    # Nine rows and a prefix of five: both ways make a square, registers decide.
    assert rows(9, 4) == (0, (3, 3))
    assert rows(9, 4, (16, 16)) == (0, (3, 3))
    assert rows(11, 4, (16, 24)) == (5, (2, 3))
    assert rows(9, 0, (16, 32)) == (1, (2, 4))


@pytest.mark.filterwarnings("ignore:.*weights are random")
def test_names_say_patch_and_heads() -> None:
    model = load_model("vit_tiny_patch8_heads6", num_classes=2, in_channels=1, image_size=(16, 24))
    assert isinstance(model, VisionTransformer)
    assert (model.settings.dim, model.settings.heads, model.settings.grid) == (192, 6, (2, 3))
    assert model(torch.zeros(1, 1, 16, 24)).shape == (1, 2)
    assert not model.training


def test_mistakes() -> None:
    with pytest.raises(InputError, match=r"250x224 is not a multiple .* 16x16 .* 240x224"):
        VitSettings(dim=64, depth=1, heads=1, image_size=(250, 224))
    with pytest.raises(InputError, match="nearest is 16x16"):
        VitSettings(dim=64, depth=1, heads=1, image_size=(8, 8))
    with pytest.raises(InputError, match="5 attention heads don't divide the width of 64"):
        VitSettings(dim=64, depth=1, heads=5)
    with pytest.raises(InputError, match="needs mean pooling"):
        VitSettings(dim=64, depth=1, heads=1, class_token=False)
    model = VisionTransformer(VitSettings(dim=32, depth=1, heads=1, image_size=(32, 32)))
    with pytest.raises(InputError, match="takes images of 32x32 pixels, not 32x48"):
        model(torch.zeros(1, 3, 32, 48))
    with pytest.raises(InputError, match=r"width of 32 doesn't tell .* vit_tiny_heads4"):
        settings_of(model.state_dict(), Sizes(), "x")
    with pytest.raises(InputError, match=r"another architecture .* no usable pos_embed"):
        settings_of({"patch_embed.proj.weight": torch.zeros(1)}, Sizes(), "x")
