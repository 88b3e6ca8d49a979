"""Relevance against eager attention with autograd, and LeGrad against torchcam."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fastcam.attribution.relevance.engine import RelevanceEngine
from fastcam.errors import InputError

from ...torchvision_import import torchvision  # isort: skip
import timm
import transformers
from torchcam.methods import LeGrad
from torchvision.models.vision_transformer import VisionTransformer

assert torchvision

METHODS = ("legrad", "chefer", "gradattention")


def _perturbed(model: nn.Module) -> Any:
    """Weights far enough from their initial zeros that every layer matters."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def _timm_vit(**options: Any) -> Any:
    model = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=32,
        patch_size=8,
        embed_dim=24,
        depth=3,
        num_heads=3,
        num_classes=4,
        **options,
    )
    return _perturbed(model)


def _hf_vit(attention: str) -> Any:
    torch.manual_seed(0)
    options: dict[str, Any] = {"num_labels": 4, "attn_implementation": attention}
    config = transformers.ViTConfig(
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=40,
        image_size=32,
        patch_size=8,
        **options,
    )
    return _perturbed(transformers.ViTForImageClassification(config))


@contextmanager
def _eager_weights(model: Any) -> Iterator[list[Tensor]]:
    """The attention weights (b, h, n, m) of timm's blocks, in their graph."""
    weights: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        output.retain_grad()
        weights.append(output)

    handles = []
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            vars(module)["fused_attn"] = False
            handles.append(module.attn_drop.register_forward_hook(keep))
    yield weights
    for handle in handles:
        handle.remove()
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            vars(module)["fused_attn"] = True


def _products(weights: list[Any]) -> list[Tensor]:
    return [w.grad * w for w in weights]


def _chefer(weights: list[Tensor], query: Tensor) -> Tensor:
    """Chefer et al. 2021 (ICCV), eq. 5 and 6, with whole matrices: the rows ``query`` (n,) of R."""
    n = weights[0].shape[-1]
    relevance = torch.eye(n).expand(len(weights[0]), n, n)
    for product in _products(weights):
        relevance = relevance + product.clamp(min=0).mean(1) @ relevance
    return torch.einsum("n,bnm->bm", query, relevance)


def test_a_timm_vit_is_as_eager_attention_with_autograd() -> None:
    model, images = _timm_vit(), torch.randn(2, 3, 32, 32)
    result = RelevanceEngine(model, METHODS, targets=1)(images)
    with _eager_weights(model) as weights:
        model(images)[:, 1].sum().backward()
    cls = torch.zeros(17)
    cls[0] = 1.0
    expected = _chefer(weights, cls)[:, 1:].reshape(2, 4, 4)
    torch.testing.assert_close(result.maps["chefer"], expected, rtol=1e-4, atol=1e-6)
    rows = torch.stack([p[:, :, 0, 1:].reshape(2, 3, 4, 4) for p in _products(weights)], 1)
    torch.testing.assert_close(result.maps["gradattention"], rows, rtol=1e-4, atol=1e-7)
    assert result.layer_names["gradattention"] == tuple(f"blocks.{i}.attn" for i in range(3))


def test_legrad_asks_each_block_for_its_own_score() -> None:
    """The head on the mean of the tokens that a block gives, differentiated by its own
    attention."""
    model, images = _timm_vit(), torch.randn(2, 3, 32, 32)
    result = RelevanceEngine(model, ["legrad"], targets=2)(images)
    tokens: list[Tensor] = []
    hooks = [b.register_forward_hook(lambda _m, _i, out: tokens.append(out)) for b in model.blocks]
    with _eager_weights(model) as weights:
        model(images)
        maps = []
        for z, w in zip(tokens, weights, strict=True):
            score = model.head(model.norm(z.mean(1)))[:, 2].sum()
            (gradient,) = torch.autograd.grad(score, w, retain_graph=True)
            maps.append(gradient.clamp(min=0).mean((1, 2))[:, 1:].reshape(2, 4, 4))
    for hook in hooks:
        hook.remove()
    expected = torch.stack(maps).mean(0)
    torch.testing.assert_close(result.maps["legrad"], expected, rtol=1e-4, atol=1e-8)
    assert "legrad" not in result.notes


@pytest.mark.parametrize("target", [0, 3])
def test_legrad_is_that_of_torchcam(target: int) -> None:
    torch.manual_seed(1)
    model: Any = _perturbed(VisionTransformer(32, 8, 3, 2, 16, 32, num_classes=5))
    nn.init.normal_(model.heads.head.weight)
    images = torch.randn(2, 3, 32, 32)
    result = RelevanceEngine(model, ["legrad"], targets=target)(images)
    with LeGrad(model, list(model.encoder.layers)) as extractor:
        (expected,) = extractor([target] * 2, model(images), normalized=False)
    torch.testing.assert_close(result.maps["legrad"], expected, rtol=1e-4, atol=1e-7)


def test_layers_can_be_chosen() -> None:
    model, images = _timm_vit(), torch.randn(1, 3, 32, 32)
    every = RelevanceEngine(model, ["legrad"], targets=0)(images).maps["legrad"]
    single = [
        RelevanceEngine(model, ["legrad"], [number], targets=0)(images).maps["legrad"]
        for number in range(3)
    ]
    torch.testing.assert_close(torch.stack(single).mean(0), every)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_hugging_face(attention: str) -> None:
    model, images = _hf_vit(attention), torch.randn(2, 3, 32, 32)
    result = RelevanceEngine(model, METHODS, targets=1)(images)
    eager = _hf_vit("eager")
    output = eager(images, output_attentions=True, output_hidden_states=True)
    blocks = []
    for tokens, weights in zip(output.hidden_states[1:], output.attentions, strict=True):
        score = eager.classifier(eager.vit.layernorm(tokens.mean(1)))[:, 1].sum()
        (gradient,) = torch.autograd.grad(score, weights, retain_graph=True)
        blocks.append(gradient.clamp(min=0).mean((1, 2))[:, 1:].reshape(2, 4, 4))
    expected = torch.stack(blocks).mean(0)
    torch.testing.assert_close(result.maps["legrad"], expected, rtol=1e-3, atol=1e-8)
    assert not result.notes
    for weights in output.attentions:
        weights.retain_grad()
    output.logits[:, 1].sum().backward()
    cls = torch.zeros(17)
    cls[0] = 1.0
    expected = _chefer(list(output.attentions), cls)[:, 1:].reshape(2, 4, 4)
    torch.testing.assert_close(result.maps["chefer"], expected, rtol=1e-3, atol=1e-6)
    rows = [p[:, :, 0, 1:].reshape(2, 3, 4, 4) for p in _products(list(output.attentions))]
    torch.testing.assert_close(
        result.maps["gradattention"], torch.stack(rows, 1), rtol=1e-3, atol=1e-7
    )


def test_a_model_without_cls_is_read_from_the_mean_of_its_patches() -> None:
    model = _timm_vit(class_token=False, global_pool="avg")
    images = torch.randn(2, 3, 32, 32)
    result = RelevanceEngine(model, METHODS, targets=1)(images)
    with _eager_weights(model) as weights:
        model(images)[:, 1].sum().backward()
    expected = _chefer(weights, torch.full((16,), 1 / 16)).reshape(2, 4, 4)
    torch.testing.assert_close(result.maps["chefer"], expected, rtol=1e-4, atol=1e-6)
    rows = torch.stack([p.mean(2).reshape(2, 3, 4, 4) for p in _products(weights)], 1)
    torch.testing.assert_close(result.maps["gradattention"], rows, rtol=1e-4, atol=1e-7)


def test_windows_are_put_back() -> None:
    from timm.models.swin_transformer import window_reverse

    model = _perturbed(
        timm.create_model(
            "swin_tiny_patch4_window7_224",
            img_size=32,
            patch_size=4,
            window_size=4,
            embed_dim=16,
            depths=(2,),
            num_heads=(2,),
            num_classes=3,
        )
    )
    images = torch.randn(2, 3, 32, 32)
    result = RelevanceEngine(model, ["legrad"], targets=0)(images)
    with _eager_weights(model) as weights:
        model(images)[:, 0].sum().backward()
    total = torch.zeros(2, 8, 8)
    for block, w in zip(model.layers[0].blocks, weights, strict=True):
        assert w.grad is not None
        mass = w.grad.clamp(min=0).mean((1, 2)).reshape(-1, 4, 4, 1)
        grid = window_reverse(mass, (4, 4), 8, 8)[..., 0]
        total += torch.roll(grid, tuple(block.shift_size), (1, 2))
    torch.testing.assert_close(result.maps["legrad"], total / 2, rtol=1e-4, atol=1e-8)
    assert "last layer's score" in result.notes["legrad"]
    with pytest.raises(InputError, match="--method chefer: SwinTransformer has layers that don't"):
        RelevanceEngine(model, ["chefer"], targets=0)(images)


def test_several_targets() -> None:
    model, images = _timm_vit(), torch.randn(2, 3, 32, 32)
    both = RelevanceEngine(model, ["legrad", "chefer"], targets=[[1, 3]])(images)
    for column, target in enumerate((1, 3)):
        one = RelevanceEngine(model, ["legrad", "chefer"], targets=target)(images)
        for name, values in one.maps.items():
            torch.testing.assert_close(both.maps[name][:, column], values)
    with pytest.raises(InputError, match="give one --target"):
        RelevanceEngine(model, ["gradattention"], targets=[[1, 3]])(images)


def test_the_model_is_left_as_it_was_and_answers_the_same() -> None:
    model, images = _timm_vit().train(), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        result = RelevanceEngine(model, METHODS[:2])(images)
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not any("forward" in vars(module) for module in model.modules())
    torch.testing.assert_close(result.output, model.eval()(images).detach())


def test_a_bad_image_costs_only_itself() -> None:
    model, images = _timm_vit(), torch.randn(3, 3, 32, 32)
    alone = RelevanceEngine(model, ["legrad"], targets=0)(images[[0, 2]]).maps["legrad"]
    images[1] = torch.nan
    maps = RelevanceEngine(model, ["legrad"], targets=0)(images).maps["legrad"]
    assert maps[1].isnan().all()
    torch.testing.assert_close(maps[[0, 2]], alone)
