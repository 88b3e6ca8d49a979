"""One pass of whole models against timm's and torchvision's own insides."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor, nn

from fastcam.attribution.attention.records import Scores, Weights
from fastcam.attribution.attention.rollout import RolloutEngine
from fastcam.attribution.attention.vit_pass import run_vit
from fastcam.errors import InputError
from fastcam.models.vit import VisionTransformer, VitSettings

from .. import families, nets

from ...torchvision_import import torchvision  # isort: skip
import timm

assert torchvision

WHOLE = {
    "timm vit": 1,
    "timm deit3": 1,
    "timm deit distilled": 2,
    "timm dinov2 with registers": 5,
    "timm eva02": 1,
    "timm beit": 1,
    "timm siglip": 0,
    "torchvision vit": 1,
    "hf vit, sdpa": 1,
    "hf vit, eager": 1,
    "hf dinov2 with registers": 4,
    "torch nn.TransformerEncoder": 1,
}
PARTIAL = [
    "timm cait",
    "timm xcit",
    "timm swin",
    "timm swinv2",
    "timm mvitv2",
    "timm efficientformerv2",
    "timm pvt_v2",
    "timm davit",
    "timm maxvit",
    "timm hiera",
    "timm mobilevit",
    "timm tiny_vit",
    "timm coatnet",
    "timm twins_pcpvt",
    "timm pit",
    "timm gcvit",
    "timm nextvit",
    "torchvision swin",
    "hf swin",
]
CNN = ["timm convnext", "timm resnet with squeeze-and-excitation", "timm resnet with ECA"]


def test_the_lists_are_of_families() -> None:
    assert {*WHOLE, *PARTIAL, *CNN} < set(families.FAMILIES)


@pytest.mark.parametrize("name", ["timm vit", "timm dinov2 with registers", "hf vit, eager"])
def test_later_passes_are_as_the_first(name: str) -> None:
    """They look at fewer modules; another size of batch is looked at anew."""
    model, images = families.build(name), families.images(name)
    first, second, other = (run_vit(model, x) for x in (images, images, images[:1]))
    for one, whole in ((second, slice(None)), (other, slice(1))):
        assert first.cls is not None
        assert one.cls is not None
        torch.testing.assert_close(one.cls, first.cls[:, whole])
        torch.testing.assert_close(one.output, first.output[whole])
        assert (one.grid, one.patch, one.prefix, one.query) == (
            first.grid,
            first.patch,
            first.prefix,
            first.query,
        )
        for again, layer in zip(one.layers, first.layers, strict=True):
            assert again.name == layer.name
            torch.testing.assert_close(again.attention.full(), layer.attention.full()[whole])


def test_a_model_is_let_go_of() -> None:
    model = VisionTransformer(VitSettings(dim=12, depth=1, heads=3, image_size=(32, 32))).eval()
    run_vit(model, torch.zeros(1, 3, 32, 32))
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("name", WHOLE)
def test_families(name: str) -> None:
    model, images = families.build(name), families.images(name)
    seen = run_vit(model, images)
    with torch.no_grad():
        output = model(images)
    torch.testing.assert_close(seen.output, getattr(output, "logits", output))
    assert seen.batch is images
    assert (seen.grid, seen.patch, seen.prefix) == ((4, 4), (8, 8), WHOLE[name])
    assert [layer.attention.shape for layer in seen.layers] == [(2, 4, *[16 + seen.prefix] * 2)] * 3
    assert len({layer.name for layer in seen.layers}) == 3
    assert seen.query == RolloutEngine(model).query
    if seen.prefix:
        assert seen.cls is not None
        assert seen.cls.shape == (4, 2, 32)
        assert seen.no_cls == ""
    else:
        assert seen.cls is None
        assert seen.no_cls == "the model has no CLS token"


@pytest.mark.parametrize("name", PARTIAL)
def test_partial_attention_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="Vision Transformer views need"):
        run_vit(families.build(name), families.images(name))


@pytest.mark.parametrize(
    ("name", "method"),
    [("timm swin", "attention"), ("timm xcit", "attention"), ("timm edgenext", "gradcam")],
)
def test_another_method_is_named_that_the_model_has(name: str, method: str) -> None:
    with pytest.raises(InputError, match=f"use fastcam explain --method {method}$"):
        run_vit(families.build(name), families.images(name))


@pytest.mark.parametrize("name", CNN)
def test_a_cnn_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"has no attention .* use a CAM method"):
        run_vit(families.build(name), families.images(name))


def timm_vit(**more: Any) -> nn.Module:
    torch.manual_seed(4)
    model: nn.Module = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=(32, 48),
        patch_size=8,
        embed_dim=24,
        depth=4,
        num_heads=3,
        num_classes=5,
        **more,
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2)
    return model.eval()


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(6))


@pytest.mark.parametrize(
    "more", [{}, {"reg_tokens": 3, "no_embed_class": True}, {"pre_norm": True}]
)
def test_cls_like_timms_intermediates(more: dict[str, Any]) -> None:
    model: Any = timm_vit(**more)
    batch = noise(2, 3, 32, 48)
    seen = run_vit(model, batch)
    with torch.no_grad():
        embedded = model.norm_pre(model._pos_embed(model.patch_embed(batch)))
        between = model.forward_intermediates(
            batch, return_prefix_tokens=True, intermediates_only=True, output_fmt="NLC"
        )
    expected = torch.stack([embedded[:, 0], *(prefix[:, 0] for _, prefix in between)])
    assert seen.cls is not None
    torch.testing.assert_close(seen.cls, expected)


def test_attention_like_timms_unfused() -> None:
    model: Any = timm_vit()
    batch = noise(2, 3, 32, 48)
    fused = run_vit(model, batch)
    expected: list[Tensor] = []
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda _m, given, _o: expected.append(given[0]))
    plain = run_vit(model, batch)
    assert fused.grid == plain.grid == (4, 6)
    expected = expected[-4:]
    for at, weights in enumerate(expected):
        assert isinstance(fused.layers[at].attention, Scores)
        assert isinstance(plain.layers[at].attention, Weights)
        torch.testing.assert_close(fused.layers[at].attention.full(), weights)
        torch.testing.assert_close(plain.layers[at].attention.full(), weights)
        torch.testing.assert_close(fused.layers[at].attention.row(0), weights[:, :, 0])


def test_only_queries_and_keys_stay() -> None:
    seen = run_vit(timm_vit(), noise(2, 3, 32, 48))
    for layer in seen.layers:
        assert isinstance(layer.attention, Scores)
        for kept in (layer.attention.q, layer.attention.k):
            assert kept.is_contiguous()
            assert kept.untyped_storage().nbytes() == kept.numel() * 4
            assert not kept.requires_grad


def test_output_is_the_same_to_the_last_bit() -> None:
    model, batch = timm_vit(), noise(2, 3, 32, 48)
    with torch.no_grad():
        plain = model(batch)
    for _ in range(2):  # By the mode, then by the name alone.
        assert torch.equal(run_vit(model, batch).output, plain)


def hooks(model: nn.Module) -> list[int]:
    return [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]


def test_nothing_stays_on_the_model() -> None:
    model = timm_vit()
    before = hooks(model)
    run_vit(model, noise(1, 3, 32, 48))
    with pytest.raises(AssertionError):
        run_vit(model, noise(1, 3, 32, 40))
    assert hooks(model) == before


def test_one_block() -> None:
    model: Any = timm_vit()
    model.blocks = model.blocks[:1]
    seen = run_vit(model, noise(1, 3, 32, 48))
    assert seen.cls is not None
    assert len(seen.cls) == 2
    assert [layer.name for layer in seen.layers] == ["blocks.0.attn"]


class Shared(nn.Module):
    """One block that is run three times, as in ALBERT."""

    def __init__(self) -> None:
        super().__init__()
        self.net: Any = timm_vit()
        self.net.blocks = nn.Sequential(*[self.net.blocks[0]] * 3)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.net(x)
        return answer


def test_a_block_run_again() -> None:
    model = Shared()
    batch = noise(1, 3, 32, 48)
    seen = run_vit(model, batch)
    with torch.no_grad():
        tokens = model.net._pos_embed(model.net.patch_embed(batch))
        expected = [tokens]
        for _ in range(3):
            expected.append(model.net.blocks[0](expected[-1]))
    assert seen.cls is not None
    torch.testing.assert_close(seen.cls, torch.stack([t[:, 0] for t in expected]))


class Loose(nn.Module):
    """Attention and MLP in lists, the skip connections outside: no module is a block."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(noise(1, 1, 12))
        self.patches = nn.Conv2d(3, 12, 8, 8)
        self.layers = nn.ModuleList(nn.ModuleList([OneHead(), nn.Linear(12, 12)]) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], 1)
        for attention, mlp in self.layers:  # type: ignore[misc]
            tokens = tokens + attention(tokens)
            tokens = tokens + mlp(tokens)
        return tokens[:, 0]


class OneHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(12, 36)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x)[:, None].chunk(3, -1)
        return F.scaled_dot_product_attention(q, k, v)[:, 0]


def test_blocks_that_are_no_modules() -> None:
    seen = run_vit(Loose(), noise(1, 3, 32, 48))
    assert len(seen.layers) == 2
    assert seen.cls is None
    assert "layers.0.0 aren't modules that are called" in seen.no_cls


def test_mean_pooling_reads_the_mean_though_there_is_cls() -> None:
    settings = VitSettings(
        dim=12,
        depth=2,
        heads=2,
        patch_size=(8, 8),
        image_size=(16, 16),
        num_classes=3,
        mean_pooling=True,
    )
    seen = run_vit(VisionTransformer(settings), noise(1, 3, 16, 16))
    assert seen.query == "mean"
    assert seen.cls is not None


def test_wrong_prefix() -> None:
    with pytest.raises(InputError, match="give --prefix-tokens"):
        run_vit(timm_vit(), noise(1, 3, 32, 48), prefix_tokens=3)


def test_volumes_are_refused() -> None:
    with pytest.raises(InputError, match="need images"):
        run_vit(timm_vit(), noise(1, 3, 4, 32, 48))


def test_nan_in_an_image() -> None:
    batch = noise(2, 3, 32, 48)
    batch[1, 0, 0, 0] = torch.nan
    with pytest.raises(InputError, match="image 1 of the batch: the image itself holds NaN"):
        run_vit(timm_vit(), batch)


def test_nan_in_the_weights() -> None:
    model: Any = timm_vit()
    with torch.no_grad():
        model.blocks[1].mlp.fc1.weight[0, 0] = torch.nan
    with pytest.raises(InputError, match=r"'blocks.1.mlp.fc1.weight' hold NaN"):
        run_vit(model, noise(1, 3, 32, 48))


def test_a_plain_network_is_refused() -> None:
    with pytest.raises(InputError, match="no attention"):
        run_vit(nets.Small(), noise(1, 3, 32, 48))
