"""Softmaxes over places that are no attention are refused; those that are, in any form, are not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fastcam.attribution.attention.capture import capture
from fastcam.attribution.attention.engine import AttentionEngine
from fastcam.attribution.attention.linear_attention import reweighed_sums
from fastcam.attribution.attention.records import nothing
from fastcam.attribution.relevance.engine import RelevanceEngine
from fastcam.errors import InputError

from ...torchvision_import import torchvision  # isort: skip
import timm

assert torchvision

_DIM, _SIDE = 16, 6


class _OneLayer(nn.Module):
    """Tokens of a grid, one way to mix them, and their mean."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, _DIM, 4, 4)
        self.q, self.k, self.v = (nn.Linear(_DIM, _DIM) for _ in range(3))
        self.heads = nn.Linear(2, 2)
        self.head = nn.Linear(_DIM, 3)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        answer: Tensor = self.head(self.mixed(tokens).mean(1))
        return answer

    def mixed(self, tokens: Tensor) -> Tensor:
        raise NotImplementedError


class _Efficient(_OneLayer):
    """Shen et al. 2021: queries are normalized over channels, keys over places."""

    def mixed(self, tokens: Tensor) -> Tensor:
        query, key = self.q(tokens).softmax(-1), self.k(tokens).softmax(1)
        return query @ torch.einsum("bnd,bne->bde", key, self.v(tokens))


class _Lambda(_OneLayer):
    """Bello 2021, the part of it that is of the content."""

    def mixed(self, tokens: Tensor) -> Tensor:
        key = self.k(tokens).transpose(1, 2).softmax(-1)
        return self.q(tokens) @ (key @ self.v(tokens))

    def matrix(self, tokens: Tensor) -> Tensor:
        return self.q(tokens) @ self.k(tokens).transpose(1, 2).softmax(-1)


class _StateSpace(_OneLayer):
    """Lee et al. 2025: the softmax times B, summed, and read by C."""

    def mixed(self, tokens: Tensor) -> Tensor:
        step = self.k(tokens).transpose(1, 2).softmax(-1)
        states = (step * self.q(tokens).transpose(1, 2)) @ tokens
        return self.v(tokens) @ states


class _Attention(_OneLayer):
    def mixed(self, tokens: Tensor) -> Tensor:
        scores = torch.einsum("bnd,bmd->bnm", self.q(tokens), self.k(tokens)) / 4
        return scores.softmax(-1) @ self.v(tokens)


class _TalkingHeads(_OneLayer):
    """Touvron et al. 2021: heads are mixed before the softmax and after it."""

    def mixed(self, tokens: Tensor) -> Tensor:
        query, key, value = (
            part(tokens).unflatten(-1, (2, _DIM // 2)).transpose(1, 2)
            for part in (self.q, self.k, self.v)
        )
        scores = self.heads((query @ key.mT).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        weights = self.heads(scores.softmax(-1).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        mixed: Tensor = (weights @ value).transpose(1, 2).flatten(2)
        return mixed


class _Agents(_OneLayer):
    """Han et al. 2024, Agent Attention: two softmaxes of products, one after the other."""

    def mixed(self, tokens: Tensor) -> Tensor:
        agents = self.q(tokens)[:, ::4]
        gathered = (agents @ self.k(tokens).mT).softmax(-1) @ self.v(tokens)
        return (self.q(tokens) @ agents.mT).softmax(-1) @ gathered


class _Branches(_OneLayer):
    """Ilse et al. 2018 with several branches: a softmax over places for each, of a projection."""

    def mixed(self, tokens: Tensor) -> Tensor:
        weights = self.k(self.q(tokens).tanh()).transpose(1, 2).softmax(-1)
        return torch.relu(self.v(weights @ tokens))


class _TokenLearner(_OneLayer):
    """Ryoo et al. 2021: a few pooled tokens, which attend to each other then."""

    def mixed(self, tokens: Tensor) -> Tensor:
        weights = self.heads(self.q(tokens)[..., :2]).softmax(1)
        few = (weights[..., None] * tokens[:, :, None]).sum(1)
        return (self.q(few) @ self.k(few).mT).softmax(-1) @ self.v(few)


def _images() -> Tensor:
    return torch.randn(2, 3, 4 * _SIDE, 4 * _SIDE, generator=torch.Generator().manual_seed(1))


def _reasons(model: nn.Module, images: Tensor) -> dict[int, str]:
    with torch.no_grad(), capture(model, nothing, ("sdpa", "softmax", "pooling")) as recording:
        model(images)
    return reweighed_sums(model, images, recording.records)


@pytest.mark.parametrize(
    ("made", "count", "words"),
    [
        (_Efficient, 2, "keys alone"),
        (_Lambda, 1, "keys alone"),
        (_StateSpace, 1, "state space"),
    ],
)
def test_sums_that_are_weighed_anew_are_found(made, count, words):
    reasons = _reasons(made().eval(), _images())
    assert len(reasons) == count
    assert all(words in reason for reason in reasons.values())


@pytest.mark.parametrize("made", [_Attention, _TalkingHeads, _Agents, _Branches, _TokenLearner])
def test_attention_in_any_form_is_kept(made):
    assert _reasons(made().eval(), _images()) == {}


def test_what_a_place_gives_to_another_may_be_negative():
    """Why: the layer written as a matrix from places to places isn't one of weights, and what a key
    gets of the softmax isn't what places read of it."""
    model = _Lambda().eval()
    with torch.no_grad():
        tokens = model.patches(_images()).flatten(2).transpose(1, 2)
        matrix = model.matrix(tokens)
        assert torch.allclose(matrix @ model.v(tokens), model.mixed(tokens), atol=1e-5)
        received = matrix.mean(1)
        shown = model.k(tokens).transpose(1, 2).softmax(-1).mean(1)
    assert matrix.min() < 0
    correlation = torch.corrcoef(torch.stack([received.flatten(), shown.flatten()]))[0, 1]
    assert correlation < 0.5


@pytest.mark.parametrize(
    ("name", "side", "options", "words"),
    [
        ("lambda_resnet26t", 128, {}, "3 attention calls.*keys alone"),
        ("efficientvim_m1", 128, {}, "6 attention calls.*state space"),
        ("coat_lite_tiny", 64, {"img_size": 64}, "8 attention calls.*keys alone"),
    ],
)
@pytest.mark.parametrize("relevance", [False, True])
def test_such_models_are_refused_in_one_line(name, side, options, words, relevance):
    model = timm.create_model(name, num_classes=3, **options).eval()
    engine: Any = RelevanceEngine(model, ["legrad"]) if relevance else AttentionEngine(model)
    with pytest.raises(InputError, match=words) as error:
        engine(torch.randn(1, 3, side, side))
    assert "\n" not in str(error.value)


def test_a_softmax_of_parameters_is_no_attention():
    """EfficientViM sums its stages with such weights; four of them look like a grid of 2×2."""

    class Summed(_Attention):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.Parameter(torch.ones(4))

        def forward(self, images: Tensor) -> Tensor:
            answer: Tensor = super().forward(images) * self.weights.softmax(-1)[0]
            return answer

    engine = AttentionEngine(Summed().eval())
    assert list(engine(_images()[:1]).maps) == ["attention"]
    assert engine.omissions == {}
