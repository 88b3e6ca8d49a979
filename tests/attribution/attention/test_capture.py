"""Capture against attention that the models themselves materialise."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import nn

from fastcam.attribution.attention.calls import scores_of, weights_of
from fastcam.attribution.attention.capture import capture
from fastcam.attribution.attention.records import nothing
from tests.attribution.reducers import clone, cls_row, full

from .. import families
from .captures import Calls, seen_by


@pytest.mark.parametrize(
    "name",
    ["vit", "deit3", "deit distilled", "dinov2 with registers", "eva02", "beit", "siglip"],
)
def test_timm_with_fused_attention_off(name):
    """The fused model's records against what goes into the dropout of the unfused one."""
    model, batch = families.build(f"timm {name}"), families.images(f"timm {name}")
    got, output = seen_by(model, batch)
    weights = []
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False  # type: ignore[assignment]
            if hasattr(module, "attn_drop"):
                module.attn_drop.register_forward_hook(lambda _m, args, _o: weights.append(args[0]))
    with torch.no_grad():
        assert torch.allclose(model(batch), output, atol=1e-4)
    fused = [record for record in got if record.shape[2] > 1]
    assert [r.kind for r in fused] == ["sdpa"] * 3
    assert [r.path for r in fused] == [f"blocks.{i}.attn" for i in range(3)]
    for record, expected in zip(fused, weights, strict=True):
        assert record.shape == tuple(expected.shape)
        torch.testing.assert_close(record.value, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("how", ["sdpa", "eager"])
def test_hugging_face_with_eager_attention(how):
    model = families.build(f"hf vit, {how}")
    batch = families.images("hf vit, sdpa")
    got, _ = seen_by(model, batch)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        expected = model(batch, output_attentions=True).attentions
    assert {r.kind for r in got} == {"sdpa" if how == "sdpa" else "softmax"}
    for record, weights in zip(got, expected, strict=True):
        torch.testing.assert_close(record.value, weights, atol=1e-5, rtol=0)


def test_torchvision_with_need_weights():
    model = families.build("torchvision vit")
    got, _ = seen_by(model, families.images("torchvision vit"))
    weights = []

    def keep(module, args, kwargs):
        with torch.no_grad():
            asked = kwargs | {"need_weights": True, "average_attn_weights": False}
            weights.append(module.forward(*args, **asked)[1])

    for module in model.modules():
        if isinstance(module, nn.MultiheadAttention):
            module.register_forward_pre_hook(keep, with_kwargs=True)
    with torch.no_grad():
        model(families.images("torchvision vit"))
    assert [r.kind for r in got] == ["sdpa"] * 3
    for record, expected in zip(got, weights, strict=True):
        torch.testing.assert_close(record.value, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_multihead_attention(need_weights, batch_first):
    torch.manual_seed(0)
    module = nn.MultiheadAttention(16, 4, batch_first=batch_first).eval()
    x = torch.randn(2, 5, 16) if batch_first else torch.randn(5, 2, 16)
    hidden = torch.tensor([[False] * 5, [False, False, False, True, True]])
    causal = torch.ones(5, 5).triu(1).bool()
    asked = {"key_padding_mask": hidden, "attn_mask": causal}
    with torch.no_grad():
        _, expected = module(x, x, x, average_attn_weights=False, **asked)
        with capture(module, full) as seen:
            module(x, x, x, need_weights=need_weights, **asked)
    (record,) = seen.records
    assert record.kind == ("softmax" if need_weights else "sdpa")
    assert record.shape == (2, 4, 5, 5)
    torch.testing.assert_close(record.value, expected, atol=1e-6, rtol=0)


def test_the_fast_path_is_off_only_meanwhile():
    model = families.build("torch nn.TransformerEncoder")
    records, output = seen_by(model, families.images("torch nn.TransformerEncoder"))
    assert [r.path for r in records] == [f"encoder.layers.{i}.self_attn" for i in range(3)]
    assert torch.backends.mha.get_fastpath_enabled()
    with torch.no_grad():
        plain = model(families.images("torch nn.TransformerEncoder"))
    torch.testing.assert_close(plain, output, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["timm vit", "timm swin", "timm swinv2", "hf vit, sdpa"])
def test_the_output_is_the_same_to_the_last_bit(name):
    model, batch = families.build(name), families.images(name)
    _, output = seen_by(model, batch, cls_row)
    with torch.no_grad():
        plain = model(batch)
    assert torch.equal(getattr(output, "logits", output), getattr(plain, "logits", plain))


class _Raises(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        self.inner(x, x, x, need_weights=False)
        raise ZeroDivisionError


def test_everything_is_undone_after_an_error():
    before = (
        F.scaled_dot_product_attention,
        F.softmax,
        torch.overrides._len_torch_function_stack(),
    )
    model = _Raises().eval()
    with pytest.raises(ZeroDivisionError), capture(model, nothing) as seen:
        model(torch.randn(1, 3, 8))
    assert len(seen.records) == 1
    after = (F.scaled_dot_product_attention, F.softmax, torch.overrides._len_torch_function_stack())
    assert before == after
    assert torch.backends.mha.get_fastpath_enabled()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


class _Own(nn.Module):
    """Fused attention whose qkv can be watched."""

    def forward(self, x):
        qkv = torch.cat([x, x, x])[None].reshape(3, *x.shape)
        self.alive = weakref.ref(qkv.untyped_storage())
        return F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])


@pytest.mark.parametrize("reduce", [cls_row, clone])
def test_a_record_does_not_clonev_alive(reduce):
    model = _Own()
    records, _ = seen_by(model, torch.randn(1, 2, 50, 8), reduce)
    gc.collect()
    assert len(records) == 1
    assert model.alive() is None


@pytest.mark.parametrize(
    "call",
    [
        nn.Softmax(dim=-1),
        lambda x: F.softmax(x, dim=3),
        lambda x: F.softmax(x, -1, dtype=torch.float64),
        lambda x: torch.softmax(x, dim=-1),
        lambda x: x.softmax(-1),
        lambda x: x.softmax(dim=3),
        lambda x: torch.special.softmax(x, -1),
        lambda x: x.transpose(2, 3).softmax(-2),
    ],
)
def test_every_way_to_write_softmax(call):
    x = torch.randn(2, 3, 4, 5)
    (record,), _ = seen_by(Calls(call), x)
    assert (record.kind, record.shape, record.path) == ("softmax", (2, 3, 4, 5), "")
    torch.testing.assert_close(record.value, x.exp() / x.exp().sum(-1, keepdim=True))


@pytest.mark.parametrize(
    ("shape", "axis", "kind", "result"),
    [
        ((2, 1, 7), 2, "pooling", (2, 1, 1, 7)),
        ((2, 7, 1), 1, "pooling", (2, 1, 1, 7)),
        ((7,), 0, "pooling", (1, 1, 1, 7)),
        ((7, 1), 0, "pooling", (1, 1, 1, 7)),
        ((1, 7), 1, "pooling", (1, 1, 1, 7)),
        ((2, 1, 7, 1), 2, "pooling", (2, 1, 1, 7)),
        ((2, 3, 4, 4), 3, "softmax", (2, 3, 4, 4)),
        ((6, 4, 5), 2, "softmax", (6, 1, 4, 5)),
        ((6, 5, 4), 1, "softmax", (6, 1, 4, 5)),
        ((2, 3, 4, 5, 5), -1, "softmax", (24, 1, 5, 5)),
        ((2, 3, 4, 4), 1, None, None),
        ((2, 3, 4, 1), 3, None, None),
    ],
)
def test_what_a_softmax_is(shape, axis, kind, result):
    found = weights_of(torch.randn(shape).softmax(axis), axis)
    if kind is None:
        assert found is None
    else:
        assert found[0] == kind
        assert found[1].shape == result
        torch.testing.assert_close(found[1].full().sum(-1), torch.ones(result[:-1]))


@pytest.mark.parametrize("lead", [(), (2,), (2, 3), (2, 3, 4)])
@pytest.mark.parametrize("option", ["plain", "causal", "bool", "float", "scale", "gqa"])
def test_scaled_dot_product_attention(lead, option):
    """The captured weights times the values are what PyTorch gives."""
    torch.manual_seed(0)
    if option == "gqa" and len(lead) < 2:
        pytest.skip("without heads nothing is shared")
    heads = (*lead[:-1], 1) if option == "gqa" else lead
    q, k, v = torch.randn(*lead, 5, 8), torch.randn(*heads, 6, 8), torch.randn(*heads, 6, 8)
    kinds: dict[str, dict[str, Any]] = {
        "plain": {},
        "causal": {"is_causal": True},
        "bool": {"attn_mask": torch.rand(5, 6) > 0.3},
        "float": {"attn_mask": torch.randn(*lead[:1], *(1,) * (len(lead) - 1), 5, 6)},
        "scale": {"scale": 0.7},
        "gqa": {"enable_gqa": True},
    }
    options = kinds[option]
    expected = F.scaled_dot_product_attention(q, k, v, **options)
    weights = scores_of(q, k, v, **options).full().reshape(*lead, 5, 6)
    torch.testing.assert_close(weights @ v, expected, atol=1e-5, rtol=0)


def test_only_the_kinds_asked_for():
    model, batch = families.build("timm siglip"), families.images("timm siglip")
    assert len(seen_by(model, batch, nothing, ("sdpa",))[0]) == 4
    assert seen_by(model, batch, nothing, ("softmax", "gate"))[0] == []


def test_captures_can_be_nested_and_devices_chosen():
    model, batch = families.build("torchvision vit"), families.images("torchvision vit")
    with (
        torch.no_grad(),
        capture(model, full) as outer,
        torch.device("cpu"),
        capture(model, cls_row) as inner,
    ):
        model(batch)
    assert len(inner.records) == len(outer.records) == 3
    for row, matrix in zip(inner.records, outer.records, strict=True):
        torch.testing.assert_close(row.value, matrix.value[:, :, 0], atol=1e-6, rtol=0)


def test_bf16_rows_are_float32():
    model, batch = families.build("timm vit"), families.images("timm vit")
    exact, _ = seen_by(model, batch, cls_row)
    with torch.autocast("cpu", torch.bfloat16):
        records, _ = seen_by(model, batch, cls_row)
    for row, reference in zip(records, exact, strict=True):
        assert row.value.dtype == torch.float32
        torch.testing.assert_close(row.value.sum(-1), torch.ones(2, 4), atol=1e-6, rtol=0)
        torch.testing.assert_close(row.value, reference.value, atol=0.02, rtol=0)


def test_compiled():
    torch._dynamo.reset()
    name = "torch nn.TransformerEncoder"
    model, batch = families.build(name), families.images(name)
    plain, _ = seen_by(model, batch, cls_row)
    compiled = torch.compile(model, backend="eager")
    for _ in range(2):
        records, _ = seen_by(compiled, batch, cls_row, ("sdpa", "softmax"))
        assert [r.path for r in records] == [""] * 3
        for record, expected in zip(records, plain, strict=True):
            torch.testing.assert_close(record.value, expected.value, atol=1e-6, rtol=0)
