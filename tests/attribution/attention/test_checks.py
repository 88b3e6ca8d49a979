"""Attention that ran unseen is an error that says what was looked for and what was found."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import nn

from fastcam.attribution.attention.capture import capture
from fastcam.attribution.attention.checks import attention_modules, check_records, input_shapes
from fastcam.attribution.attention.records import nothing
from fastcam.errors import InputError

from .. import families


class Block(nn.Module):
    """Attention by a kernel that can't be seen, or by PyTorch's."""

    def __init__(self, seen: bool, projection: str = "qkv") -> None:
        super().__init__()
        self.seen, self.name = seen, projection
        self.add_module(projection, nn.Linear(8, 24))

    def forward(self, x):
        q, k, v = (
            getattr(self, self.name)(x).reshape(*x.shape[:2], 2, 12).transpose(1, 2).chunk(3, -1)
        )
        if self.seen:
            return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        e = (q @ k.transpose(-1, -2)).exp()
        return (e / e.sum(-1, keepdim=True) @ v).transpose(1, 2).reshape(x.shape)


class Model(nn.Module):
    def __init__(self, seen: list[bool], projection: str = "qkv", pool: bool = False) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(one, projection) for one in seen)
        self.pool = pool

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return (x.sum(-1, keepdim=True).softmax(1) * x).sum(1) if self.pool else x


def checked(model, x=None):
    with torch.no_grad(), input_shapes(model) as shapes, capture(model, nothing) as seen:
        model(torch.randn(2, 5, 8) if x is None else x)
    check_records(model, seen.records, shapes)


def test_all_seen():
    checked(Model([True] * 24))


def test_two_calls_where_there_are_twenty_four_blocks():
    with pytest.raises(InputError, match=r"seen in 2 of 24 modules .*blocks\.2, .*22 in all"):
        checked(Model([True, True] + [False] * 22))


def test_blocks_whose_attention_has_no_known_name():
    assert attention_modules(Model([True], "mix")) == {}
    with pytest.raises(InputError, match=r"seen in 2 of 6 equal blocks under 'blocks'"):
        checked(Model([True] * 2 + [False] * 4, "mix"))


def test_a_pooling_call_beside_the_blocks_is_not_their_attention():
    with pytest.raises(InputError, match=r"found only 1 of kind pooling; 3 modules hold attention"):
        checked(Model([False] * 3, pool=True))


def test_no_attention_at_all():
    with pytest.raises(InputError, match=r"found neither; no module projects .* gradcam"):
        checked(nn.Conv2d(3, 4, 3), torch.randn(1, 3, 8, 8))


def test_modules_that_did_not_run_are_not_missed():
    model = Model([True, True])
    model.spare = Block(False)
    checked(model)


def test_shapes_and_hooks():
    model = Model([True])
    with pytest.raises(RuntimeError), input_shapes(model) as shapes:
        model(torch.randn(2, 5, 7))
    assert shapes == {"": (2, 5, 7), "blocks.0": (2, 5, 7), "blocks.0.qkv": (2, 5, 7)}
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("timm vit", 3),
        ("timm cait", 5),
        ("timm xcit", 5),
        ("timm swin", 4),
        ("timm siglip", 4),
        ("torchvision vit", 3),
        ("torchvision swin", 4),
        ("hf vit, sdpa", 3),
        ("hf swin", 4),
        ("torch nn.TransformerEncoder", 3),
        ("timm convnext", 0),
        ("timm resnet with squeeze-and-excitation", 0),
    ],
)
def test_modules_that_hold_attention(name, count):
    assert len(attention_modules(families.build(name))) == count
