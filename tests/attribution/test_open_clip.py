"""open_clip's vision parts as a user's own file gives them, where open_clip is installed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from fastcam.attribution.attention.engine import AttentionEngine
from fastcam.attribution.attention.rollout import RolloutEngine
from fastcam.attribution.relevance.engine import RelevanceEngine

from ..torchvision_import import torchvision  # isort: skip
from .planted import planted_peaks

assert torchvision
open_clip = pytest.importorskip("open_clip")

_SIDE, _HEADS, _LAYERS = 64, 2, 3
_TEXT: dict[str, Any] = {
    "context_length": 8,
    "vocab_size": 64,
    "width": 32,
    "heads": 2,
    "layers": 1,
}


def _tower(**options: Any) -> Any:
    torch.manual_seed(0)
    vision = {"layers": _LAYERS, "width": 32, "head_width": 16, "patch_size": 8, **options}
    return open_clip.CLIP(5, {"image_size": _SIDE, **vision}, _TEXT).visual.eval()


def _images() -> Tensor:
    return torch.randn(2, 3, _SIDE, _SIDE, generator=torch.Generator().manual_seed(4))


def _eager(tower: Any, images: Tensor) -> tuple[list[Tensor], Tensor]:
    """Weights (b, h, n, n) of each layer, in the graph of the answer, written out."""
    weights = []
    x = tower.ln_pre(tower._embeds(images))
    for block in tower.transformer.resblocks:
        b, n, d = x.shape
        projected = block.ln_1(x) @ block.attn.in_proj_weight.T + block.attn.in_proj_bias
        q, k, v = projected.reshape(b, n, 3, _HEADS, d // _HEADS).permute(2, 0, 3, 1, 4)
        weights.append((q @ k.mT / (d // _HEADS) ** 0.5).softmax(-1))
        x = x + block.attn.out_proj((weights[-1] @ v).transpose(1, 2).flatten(2))
        x = x + block.mlp(block.ln_2(x))
    pooled = tower.ln_post(x)
    pooled = pooled[:, 1:].mean(1) if tower.pool_type == "avg" else pooled[:, 0]
    return weights, pooled @ tower.proj


@pytest.mark.parametrize("pool", ["tok", "avg"])
def test_attention_rollout_and_relevance(pool):
    tower, images = _tower(pool_type=pool), _images()
    weights, answer = _eager(tower, images)
    torch.testing.assert_close(answer, tower(images), rtol=1e-3, atol=1e-4)
    gradients = torch.autograd.grad(answer[:, 3].sum(), weights)

    shown = AttentionEngine(tower)(images).maps["attention"]
    expected = torch.stack([w[:, :, 0, 1:] for w in weights], 1).reshape(shown.shape)
    torch.testing.assert_close(shown, expected.detach(), rtol=1e-4, atol=1e-6)

    rolled = torch.eye(_SIDE * _SIDE // 64 + 1).expand(2, -1, -1)
    for layer in weights:
        mixed = layer.detach().mean(1) + torch.eye(layer.shape[-1])
        rolled = mixed / mixed.sum(-1, keepdim=True) @ rolled
    read = rolled[:, 1:, 1:].mean(1) if pool == "avg" else rolled[:, 0, 1:]
    of_rollout = RolloutEngine(tower)(images).maps["rollout"]
    torch.testing.assert_close(of_rollout.flatten(1), read, rtol=1e-4, atol=1e-6)

    relevance = torch.eye(_SIDE * _SIDE // 64 + 1).expand(2, -1, -1)
    for layer, gradient in zip(weights, gradients, strict=True):
        relevance = relevance + (layer * gradient).detach().clamp(min=0).mean(1) @ relevance
    read = relevance[:, 1:, 1:].mean(1) if pool == "avg" else relevance[:, 0, 1:]
    of_chefer = RelevanceEngine(tower, ["chefer"])(images, 3).maps["chefer"]
    torch.testing.assert_close(of_chefer.flatten(1), read, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("pool", ["tok", "avg"])
def test_planted_attention_is_shown_where_it_looks(pool):
    peaks = planted_peaks(_tower(pool_type=pool), _SIDE)
    assert len(peaks) == _LAYERS
    assert all(peaks.values())


def test_legrad_is_of_each_layers_own_score():
    tower, images = _tower(), _images()
    weights: list[Tensor] = []
    expected = torch.zeros(2, (_SIDE // 8) ** 2)
    x = tower.ln_pre(tower._embeds(images))
    for block in tower.transformer.resblocks:
        given = x.detach()
        projected = block.ln_1(given) @ block.attn.in_proj_weight.T + block.attn.in_proj_bias
        q, k, v = projected.unflatten(-1, (3, _HEADS, 16)).permute(2, 0, 3, 1, 4)
        weights.append((q @ k.mT / 4).softmax(-1))
        x = given + block.attn.out_proj((weights[-1] @ v).transpose(1, 2).flatten(2))
        x = x + block.mlp(block.ln_2(x))
        score = (tower.ln_post(x.mean(1)) @ tower.proj)[:, 3].sum()
        (gradient,) = torch.autograd.grad(score, weights[-1])
        expected += gradient.clamp(min=0).mean((1, 2))[:, 1:] / _LAYERS
    shown = RelevanceEngine(tower, ["legrad"])(images, 3).maps["legrad"]
    torch.testing.assert_close(shown.flatten(1), expected, rtol=1e-3, atol=1e-7)
