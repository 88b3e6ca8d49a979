"""Rollout from queries and keys, a block at a time, against rollout written out in float64."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from fastcam.attribution.attention import rollout_chunked
from fastcam.attribution.attention.records import Attention, Scores, Weights
from fastcam.attribution.attention.rollout import rollout
from fastcam.attribution.attention.rollout_chunked import (
    backward_row,
    fused_matrix,
    keep_layer,
    keeps_matrix,
)
from fastcam.attribution.request import Fusion
from fastcam.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread")

Matrix = NDArray[np.float64]
FUSIONS: tuple[Fusion, ...] = ("mean", "max", "min")


def attention_of(scores: Scores) -> Matrix:
    """softmax(scale · Q Kᵀ + mask) in float64, (b, h, n, n); rows that see nothing are 0."""
    q, k = scores.q.double().numpy(), scores.k.double().numpy()
    k = np.repeat(k, q.shape[1] // k.shape[1], axis=1)
    logits = np.einsum("bhnd,bhmd->bhnm", q, k) * scores.scale
    seen = np.ones(logits.shape, bool)
    if scores.causal:
        seen &= np.tri(*logits.shape[2:], dtype=np.bool_)
    if scores.mask is not None and scores.mask.dtype == torch.bool:
        seen &= scores.mask.numpy()
    elif scores.mask is not None:
        logits = logits + scores.mask.double().numpy()
    with np.errstate(under="ignore"):
        e = np.where(seen, np.exp(logits - logits.max(-1, keepdims=True)), 0.0)
    total = e.sum(-1, keepdims=True)
    return np.divide(e, total, out=np.zeros_like(e), where=total > 0)


def fused_of(attention: Matrix, fusion: str, ratio: float) -> Matrix:
    """Heads fused (b, n, n), the lowest int(n·n·ratio) of an image to 0, the first entry kept."""
    fused = getattr(attention, fusion)(axis=1)
    for image in fused:
        flat = image.reshape(-1)
        first = flat[0]
        flat[np.argsort(flat, kind="stable")[: int(flat.size * ratio)]] = 0
        flat[0] = first
    return fused


def product_of(fused: Sequence[Matrix]) -> Matrix:
    """The product of all layers' matrices (b, n, n), the way the paper writes it."""
    joint = np.eye(fused[0].shape[-1])
    for layer in fused:
        a = layer + np.eye(layer.shape[-1])
        joint = (a / a.sum(-1, keepdims=True)) @ joint
    return joint


def made(
    b: int = 2, h: int = 3, n: int = 17, d: int = 8, layers: int = 4, seed: int = 0, **more: Any
) -> list[Scores]:
    torch.manual_seed(seed)
    kv = more.pop("kv", h)
    return [
        Scores(torch.randn(b, h, n, d) * 2, torch.randn(b, kv, n, d), d**-0.5, **more)
        for _ in range(layers)
    ]


def expected(layers: Sequence[Scores], fusion: str, ratio: float = 0.0, first: int = 0) -> Matrix:
    return product_of([fused_of(attention_of(s), fusion, ratio) for s in layers[first:]])


def assert_close(found: Tensor, wanted: Matrix) -> None:
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), wanted, rtol=0, atol=4e-6)


@pytest.fixture(params=[1 << 19, 200, 1], ids=["one block", "few rows", "one row"])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(rollout_chunked, "_CPU_BLOCK", request.param)
    return int(request.param)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("first", [0, 2, 3])
def test_is_the_product_written_out(fusion: Fusion, ratio: float, first: int) -> None:
    layers = made()
    wanted = expected(layers, fusion, ratio, first)
    assert_close(rollout(layers, 0, fusion, ratio, first), wanted[:, 0])
    kept = [keep_layer(layer, fusion, ratio) for layer in layers]
    assert_close(rollout(kept, 0, fusion, ratio, first), wanted[:, 0])


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("ratio", [0.0, 0.5])
def test_mean_of_patches_as_query(fusion: Fusion, ratio: float) -> None:
    layers = made(n=9)
    weights = torch.tensor([0, 0, *[1 / 7] * 7])
    wanted = expected(layers, fusion, ratio)[:, 2:].mean(1)
    assert_close(rollout(layers, weights, fusion, ratio), wanted)


def masks(n: int) -> dict[str, dict[str, Any]]:
    torch.manual_seed(1)
    hidden = torch.rand(2, 1, n, n) > 0.4
    hidden[1, 0, 3] = False
    return {
        "bool": {"mask": hidden},
        "keys": {"mask": torch.arange(n) < n - 3},
        "floats": {"mask": torch.randn(1, 3, n, n) * 3},
        "causal": {"causal": True},
        "one key head": {"kv": 1},
    }


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("kind", list(masks(11)))
@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("ratio", [0.0, 0.6])
def test_masks_and_shared_keys_are_honoured(kind: str, fusion: Fusion, ratio: float) -> None:
    layers = made(n=11, **masks(11)[kind])
    wanted = expected(layers, fusion, ratio)
    for query in (0, 3):
        assert_close(rollout(layers, query, fusion, ratio), wanted[:, query])
    kept = [keep_layer(layer, fusion, ratio) for layer in layers]
    assert_close(rollout(kept, 3, fusion, ratio), wanted[:, 3])


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("ratio", [0.0, 0.4])
def test_weights_of_the_model_itself(fusion: Fusion, ratio: float) -> None:
    layers = made(n=7)
    given_layers = [Weights(torch.from_numpy(attention_of(s)).float()) for s in layers]
    wanted = expected(layers, fusion, ratio)[:, 0]
    assert_close(rollout(given_layers, 0, fusion, ratio), wanted)


@settings(max_examples=60, deadline=None)
@given(
    b=st.integers(1, 3),
    h=st.integers(1, 4),
    n=st.integers(1, 12),
    d=st.integers(1, 5),
    layers=st.integers(1, 5),
    seed=st.integers(0, 999),
    room=st.integers(1, 900),
    threads=st.integers(1, 5),
    fusion=st.sampled_from(FUSIONS),
    ratio=st.sampled_from([0.0, 0.1, 0.5, 0.99]),
)
def test_any_shape_in_blocks_of_any_size(
    b: int,
    h: int,
    n: int,
    d: int,
    layers: int,
    seed: int,
    room: int,
    threads: int,
    fusion: Fusion,
    ratio: float,
) -> None:
    found = made(b, h, n, d, layers, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollout_chunked, "_CPU_BLOCK", room)
        patch.setattr(rollout_chunked, "_thread_count", lambda device: threads)
        row = rollout(found, n - 1, fusion, ratio)
    assert_close(row, expected(found, fusion, ratio)[:, n - 1])
    np.testing.assert_allclose(row.sum(-1).numpy(), 1, atol=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_no_discard_and_next_to_none_are_the_same(fusion: Fusion) -> None:
    layers = made(n=6)
    assert_close(rollout(layers, 0, fusion, 1e-3), rollout(layers, 0, fusion).double().numpy())


def test_discards_exactly_the_share_also_among_equals() -> None:
    flat = Weights(torch.full((2, 1, 4, 4), 0.25))
    kept = fused_matrix(flat, "mean", 0.5)
    # Eight go, the first of the equals; CLS to CLS is one of the eight and stays.
    wanted = [0.25, *[0.0] * 7, *[0.25] * 8]
    assert kept.reshape(2, 16).tolist() == [wanted, wanted]


def test_each_image_discards_its_own_lowest() -> None:
    even, steep = torch.full((4, 4), 0.25), torch.eye(4) * 0.97 + 0.01
    both = fused_matrix(Weights(torch.stack([even, steep])[:, None]), "mean", 0.75)
    alone = fused_matrix(Weights(steep[None, None]), "mean", 0.75)
    assert torch.equal(both[1], alone[0])
    assert torch.equal(alone[0] > 0.5, torch.eye(4, dtype=torch.bool))


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("fusion", FUSIONS)
def test_what_is_kept_is_its_own(fusion: Fusion) -> None:
    for attention in made(n=5, layers=2):
        kept = keep_layer(attention, fusion, 0.0)
        first = rollout([kept]).clone()
        attention.q.zero_()
        assert torch.equal(rollout([kept]), first)
        if isinstance(kept, Tensor):
            before = kept.clone()
            backward_row(kept, 0, fusion, 0.0)
            assert torch.equal(kept, before)


def test_keeps_the_matrix_where_one_block_holds_all_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_chunked, "_CPU_BLOCK", 3 * 48 * 48)
    few, many = made(n=48, layers=1)[0], made(n=49, layers=1)[0]
    assert isinstance(keep_layer(few, "mean", 0.0), Tensor)
    assert isinstance(keep_layer(many, "mean", 0.0), Attention)
    assert keeps_matrix(Weights(torch.ones(1, 2, 99, 99)))


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("n", [5, 40])
def test_bfloat16_queries_under_autocast_stay_float32_arithmetic(n: int) -> None:
    layers = [Scores(s.q.bfloat16(), s.k.bfloat16(), s.scale) for s in made(n=n, h=1, d=2)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        kept = [keep_layer(layer, "mean", 0.0) for layer in layers]
        assert_close(rollout(kept), expected(layers, "mean")[:, 0])


@pytest.mark.parametrize("first", [-1, 4, 9])
def test_a_start_layer_there_is_not(first: int) -> None:
    with pytest.raises(InputError, match=f"--start-layer {first}: .* 4 layers .* 0 to 3"):
        rollout(made(), start_layer=first)


_PEAK = """
import resource, torch
from fastcam.attribution.attention.records import Scores
from fastcam.attribution.attention.rollout import rollout
torch.set_num_threads(1)
layers = [Scores(torch.randn(1, 6, 2049, 8), torch.randn(1, 6, 2049, 8), 0.3) for _ in range(3)]
rollout([Scores(s.q[:, :, :50], s.k[:, :, :50], s.scale) for s in layers])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rollout(layers)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no resource module")
def test_no_matrix_of_all_tokens_is_in_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PEAK], capture_output=True, text=True, check=True, timeout=120
    )
    one_head_kib = 2049 * 2049 * 4 // 1024
    assert int(done.stdout) < one_head_kib / 2
