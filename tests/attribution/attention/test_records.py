"""Rows of attention against softmax(scale · Q Kᵀ + mask) written out in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.attribution.attention import records
from fastcam.attribution.attention.records import (
    AttentionCall,
    Scores,
    Weights,
    gate,
)
from fastcam.errors import InputError


def naive(q, k, scale, mask=None, causal=False):
    """Loops over images, heads, queries and keys, in float64; a row that sees nothing is 0."""
    q, k = q.double().numpy(), k.double().numpy()
    b, h, n, _ = q.shape
    m, group = k.shape[2], h // k.shape[1]
    out = np.zeros((b, h, n, m))
    if mask is not None:
        mask = np.broadcast_to(mask.numpy(), (b, h, n, m))
    for i in np.ndindex(b, h, n):
        scores = np.array([scale * q[i] @ k[i[0], i[1] // group, j] for j in range(m)])
        seen = np.array([not causal or j <= i[2] for j in range(m)])
        if mask is not None and mask.dtype == bool:
            seen &= mask[i]
        elif mask is not None:
            scores = scores + mask[i]
            seen &= ~np.isneginf(mask[i])
        if seen.any():
            e = np.where(seen, np.exp(scores - scores[seen].max()), 0)
            out[i] = e / e.sum()
    return out


@st.composite
def made(draw):
    hk, group = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    b, n, m, d = (draw(st.integers(1, top)) for top in (2, 6, 6, 5))
    rng = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    q = torch.randn(b, hk * group, n, d, generator=rng)
    k = torch.randn(b, hk, m, d, generator=rng)
    shape = draw(st.sampled_from([(n, m), (1, m), (b, 1, n, m), (b, hk * group, n, m), (m,)]))
    kind = draw(st.sampled_from(["none", "bool", "float"]))
    mask = None
    if kind == "bool":
        mask = torch.rand(shape, generator=rng) > 0.4
    elif kind == "float":
        mask = torch.randn(shape, generator=rng)
        mask[torch.rand(shape, generator=rng) > 0.7] = -torch.inf
    return Scores(q, k, draw(st.floats(0.1, 2)), mask, draw(st.booleans()))


@settings(max_examples=60, deadline=None)
@given(made())
def test_rows(scores):
    expected = naive(scores.q, scores.k, scores.scale, scores.mask, scores.causal)
    np.testing.assert_allclose(scores.full().numpy(), expected, atol=1e-5)
    n = scores.shape[2]
    for index in (0, n - 1, -1):
        np.testing.assert_allclose(scores.row(index).numpy(), expected[:, :, index], atol=1e-5)
    first = n // 2
    mean = expected[:, :, first:].mean(2)
    np.testing.assert_allclose(scores.mean_row(first).numpy(), mean, atol=1e-5)
    np.testing.assert_allclose(scores.clone().full().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["scores", "weights"])
def test_the_mean_is_the_same_in_blocks(monkeypatch, kind):
    torch.manual_seed(0)
    scores = Scores(torch.randn(2, 3, 11, 4), torch.randn(2, 3, 7, 4), 0.5)
    attention = scores if kind == "scores" else Weights(scores.full())
    whole = attention.mean_row(1)
    monkeypatch.setattr(records, "_BLOCK", 2 * 3 * 7 * 2)
    assert len(list(attention.blocks(1))) == 5
    torch.testing.assert_close(attention.mean_row(1), whole, atol=1e-6, rtol=0)


def test_half_precision_is_widened_before_the_product():
    torch.manual_seed(0)
    q, k = torch.randn(1, 2, 5, 16).bfloat16(), torch.randn(1, 2, 9, 16).bfloat16()
    expected = naive(q, k, 0.25)
    with torch.autocast("cpu", torch.bfloat16):
        got = Scores(q, k, 0.25).full()
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    "reduce", [lambda a: a.row(0), lambda a: a.mean_row(), lambda a: a.full(), lambda a: a.clone()]
)
@pytest.mark.parametrize("fused", [True, False])
def test_what_is_kept_has_memory_of_its_own(reduce, fused):
    qkv = torch.randn(3, 2, 4, 6, 8)
    attention = Scores(qkv[0], qkv[1], 1.0) if fused else Weights(qkv[0].softmax(-1))
    kept = reduce(attention)
    own = {qkv.untyped_storage().data_ptr()}
    if isinstance(attention, Weights):
        own.add(attention.values.untyped_storage().data_ptr())
    tensors = [kept] if isinstance(kept, torch.Tensor) else list(vars(kept).values())
    for tensor in tensors:
        if isinstance(tensor, torch.Tensor):
            assert tensor.untyped_storage().data_ptr() not in own
            assert tensor.untyped_storage().nbytes() <= tensor.numel() * 4


def test_gate_is_the_sum_of_gated_magnitudes():
    x, s = torch.randn(2, 3, 4, 5), torch.rand(2, 3)
    call = AttentionCall("se", "gate", Weights(s[:, None, None]), x)
    values, seen = gate(call)
    torch.testing.assert_close(values, s)
    slow = sum(s[:, c, None, None] * x[:, c].abs() for c in range(3))
    torch.testing.assert_close(seen, slow)


def test_mistakes():
    scores = Scores(torch.randn(1, 1, 4, 2), torch.randn(1, 1, 4, 2), 1.0)
    with pytest.raises(InputError, match=r"query 4 .* 4 queries"):
        scores.row(4)
    with pytest.raises(InputError, match="first 4: there are 4"):
        scores.mean_row(4)
    with pytest.raises(InputError, match="kind sdpa has no channel gate"):
        gate(AttentionCall("block", "sdpa", scores))
