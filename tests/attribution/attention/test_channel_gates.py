"""Channel gates: what is one, and its values against what its module puts out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import nn

from fastcam.attribution.attention.records import gate

from .. import families
from .captures import Calls, seen_by


@pytest.mark.parametrize(
    ("name", "count"),
    [("timm resnet with squeeze-and-excitation", 8), ("timm resnet with ECA", 8)],
)
def test_gates(name, count):
    """Each gate, with what it multiplies, gives what its module put out."""
    model, batch = families.build(name), families.images(name)
    kept, pairs = [], []

    def both(call):
        kept.append(call.features.clone())
        return gate(call)

    def note(_module, args, output):
        pairs.append((args[0].clone(), output.clone()))

    modules = [m for n, m in model.named_modules() if n.rpartition(".")[2] in ("se", "attn")]
    for module in modules:
        if not isinstance(module, nn.Identity):
            module.register_forward_hook(note)
    records, _ = seen_by(model, batch, both, ("gate",))
    assert len(records) == len(pairs) == count
    for record, features, (given, output) in zip(records, kept, pairs, strict=True):
        values, shown = record.value
        assert torch.equal(features, given)
        torch.testing.assert_close(values[:, :, None, None] * given, output)
        # Sums of hundreds of channels, in another order.
        expected = (values[:, :, None, None] * given.abs()).sum(1)
        torch.testing.assert_close(shown, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x * x.sigmoid(),  # SiLU
        lambda x: x * x.mean((2, 3)).sigmoid().mean(),  # a number
        lambda x: x * x.mean(1, keepdim=True).sigmoid(),  # one gate for all channels, by place
        lambda x: x.mean((2, 3)).sigmoid(),  # an answer for several labels
        lambda x: x.mean((2, 3)) * x.amax((2, 3)).sigmoid(),
        lambda x: x.mean((2, 3), keepdim=True) * x.amax((2, 3), keepdim=True).sigmoid(),
    ],
)
def test_what_is_no_channel_gate(call):
    records, _ = seen_by(Calls(call), torch.randn(2, 3, 4, 5))
    assert records == []


def test_a_learned_scale_is_no_channel_gate():
    """EfficientViM's, a row for each part of a block; there may be as many as there are images."""
    scales = nn.Parameter(torch.randn(2, 3))
    call = Calls(lambda x: x * torch.sigmoid(scales)[0][:, None, None])
    assert seen_by(call, torch.randn(2, 3, 4, 5))[0] == []


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(),
        lambda x: torch.sigmoid(x.mean((2, 3)))[:, :, None, None].expand_as(x) * x,
        lambda x: x.clone().mul_(F.hardsigmoid(x.mean((2, 3), keepdim=True))),
        lambda x: x.movedim(1, -1) * nn.Sigmoid()(x.mean((2, 3)))[:, None, None],
    ],
)
def test_ways_to_write_a_gate(call):
    (record,), _ = seen_by(Calls(call), torch.randn(2, 3, 4, 5), gate)
    assert (record.kind, record.shape) == ("gate", (2, 1, 1, 3))
    assert record.value[1].shape == (2, 4, 5)
