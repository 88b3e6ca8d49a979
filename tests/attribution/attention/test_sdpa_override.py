"""Attention seen by name only: the same records as with a mode, and nothing left behind."""

from __future__ import annotations

import threading

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention as imported
from torch.testing import assert_close

from fastcam.attribution.attention.engine import AttentionEngine
from fastcam.attribution.attention.rollout import RolloutEngine
from fastcam.attribution.attention.sdpa_override import overridden_sdpa, sdpa_count
from fastcam.errors import InputError
from fastcam.models.vit import VisionTransformer, VitSettings

PLAIN = F.scaled_dot_product_attention


def vit() -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(VitSettings(dim=12, depth=3, heads=2, image_size=(32, 32))).eval()


def heads() -> Tensor:
    return torch.randn(1, 2, 5, 4)


def test_the_name_is_put_back() -> None:
    with pytest.raises(ZeroDivisionError), overridden_sdpa(lambda _f, _a, _k: 1 // 0):
        F.scaled_dot_product_attention(heads(), heads(), heads())
    assert F.scaled_dot_product_attention is PLAIN


def test_what_stood_there_before_is_called_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda *_: "theirs")
    theirs = F.scaled_dot_product_attention
    with sdpa_count() as outer, sdpa_count() as inner:
        assert F.scaled_dot_product_attention(1, 2, 3) == "theirs"  # type: ignore[arg-type]
    assert (outer.calls, inner.calls) == (0, 1)
    assert F.scaled_dot_product_attention is theirs


def test_other_threads_are_not_seen() -> None:
    ready, done = threading.Event(), threading.Event()
    counts = []

    def other() -> None:
        with sdpa_count() as count:
            ready.set()
            done.wait(10)
            F.scaled_dot_product_attention(heads(), heads(), heads())
        counts.append(count.calls)

    thread = threading.Thread(target=other)
    thread.start()
    ready.wait(10)
    with sdpa_count() as mine:
        done.set()
        thread.join(10)
        for _ in range(3):
            F.scaled_dot_product_attention(heads(), heads(), heads())
    assert (mine.calls, counts) == (3, [1])
    assert F.scaled_dot_product_attention is PLAIN


@pytest.mark.parametrize("engine", [AttentionEngine, RolloutEngine])
def test_later_batches_give_the_same(engine: type) -> None:
    batch = torch.randn(2, 3, 32, 32)
    seen = engine(vit())
    first, second = seen(batch), seen(batch)
    (name,) = first.maps
    assert torch.equal(first.maps[name], second.maps[name])
    other = torch.randn(2, 3, 32, 32)
    assert_close(seen(other).maps[name], engine(vit())(other).maps[name])


class ByImport(nn.Module):
    """Attends through a function that was imported by its name."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, 12))
        self.patch_embed = nn.Conv2d(3, 12, 8, 8)
        self.head = nn.Linear(12, 3)
        self.twice = False

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1)
        for _ in range(2 if self.twice else 1):
            x = x + imported(x[:, None], x[:, None], x[:, None])[:, 0]
        return self.head(x[:, 0])


@pytest.mark.parametrize("engine", [AttentionEngine, RolloutEngine])
def test_a_function_imported_by_name_is_seen_by_the_mode(engine: type) -> None:
    batch = torch.randn(1, 3, 32, 32)
    seen = engine(ByImport().eval())
    (name, first), *_ = seen(batch).maps.items()
    assert_close(seen(batch).maps[name], first)


def test_other_calls_than_the_first_time_are_an_error() -> None:
    model, batch = ByImport().eval(), torch.randn(1, 3, 32, 32)
    seen = AttentionEngine(model)
    seen(batch)
    model.twice = True
    with pytest.raises(InputError, match="other attention calls"):
        seen(batch)
