"""Attention as maps: the right places, layers, heads and queries, checked against the grid."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import nn

from fastcam.attribution.attention.capture import capture
from fastcam.attribution.attention.engine import AttentionEngine
from fastcam.errors import InputError
from fastcam.models.fewshot.network import FewshotViT
from fastcam.models.fewshot.settings import FewshotSettings
from fastcam.models.vit import VitSettings
from tests.attribution.reducers import full

from .. import families
from ..model_builders import of_timm


def matrices(model, batch):
    with torch.no_grad(), capture(model, full) as seen:
        model(batch)
    return [record.value for record in seen.records]


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("timm vit", 1),
        ("timm deit distilled", 2),
        ("timm dinov2 with registers", 5),
        ("torchvision vit", 1),
        ("hf dinov2 with registers", 4),
        ("torch nn.TransformerEncoder", 1),
    ],
)
def test_cls_rows(name, prefix):
    model, batch = families.build(name), families.images(name)
    engine = AttentionEngine(model)
    result = engine(batch)
    assert list(result.maps) == ["attention"]
    assert result.maps["attention"].dtype == torch.float32
    assert engine.query == engine.map_kinds["attention"] == "cls"
    expected = torch.stack([w[:, :, 0, prefix:] for w in matrices(model, batch)], 1)
    torch.testing.assert_close(result.maps["attention"].flatten(3), expected, atol=1e-6, rtol=0)
    assert result.maps["attention"].shape[3:] == (4, 4)
    assert result.output.shape == (2, 5)


def test_rows_and_columns_are_not_exchanged():
    wide = of_timm("vit_tiny_patch16_224", img_size=(16, 40), patch_size=8, depth=1)().eval()
    batch = torch.randn(1, 3, 16, 40)
    got = AttentionEngine(wide)(batch).maps["attention"]
    assert got.shape == (1, 1, 3, 2, 5)
    row = matrices(wide, batch)[0][0, 0, 0, 1:]
    torch.testing.assert_close(got[0, 0, 0, 1, 3], row[1 * 5 + 3])


def test_without_cls_it_is_attention_received():
    model, batch = families.build("timm siglip"), families.images("timm siglip")
    engine = AttentionEngine(model)
    maps = engine(batch).maps
    *blocks, pool = matrices(model, batch)
    assert engine.query == "mean"
    assert engine.map_kinds == {"attention": "received", "pooling": "pooling"}
    expected = torch.stack([w.mean(2) for w in blocks], 1)
    torch.testing.assert_close(maps["attention"].flatten(3), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        maps["pooling"].flatten(2), pool.transpose(1, 2).flatten(2), atol=1e-6, rtol=0
    )


def test_mean_leaves_prefix_queries_out():
    model, batch = families.build("timm vit"), families.images("timm vit")
    maps = AttentionEngine(model, query="mean")(batch).maps
    expected = torch.stack([w[:, :, 1:, 1:].mean(2) for w in matrices(model, batch)], 1)
    torch.testing.assert_close(maps["attention"].flatten(3), expected, atol=1e-6, rtol=0)


def test_windows():
    """The first window of an unshifted layer, written out."""
    model, batch = families.build("timm swin"), families.images("timm swin")
    engine = AttentionEngine(model)
    result = engine(batch)
    maps = result.maps
    assert result.layer_names["attention/stage2"] == (
        "layers.1.blocks.0.attn",
        "layers.1.blocks.1.attn",
    )
    assert maps["attention/stage1"].shape == (2, 2, 2, 12, 12)
    assert maps["attention/stage2"].shape == (2, 2, 4, 6, 6)
    first = matrices(model, batch)[0]
    got = maps["attention/stage1"][1, 0, :, :4, :4]
    torch.testing.assert_close(got, first[9].mean(1).reshape(2, 4, 4), atol=1e-6, rtol=0)
    # Every window hands out the attention of its 16 queries; nothing is lost on the way back.
    torch.testing.assert_close(
        maps["attention/stage1"].sum((-1, -2)), torch.full((2, 2, 2), 9.0), atol=1e-4, rtol=0
    )


def test_class_attention_is_shown_and_the_rest_explained():
    engine = AttentionEngine(families.build("timm xcit"))
    result = engine(families.images("timm xcit"))
    assert result.layer_names["attention"] == ("cls_attn_blocks.0.attn", "cls_attn_blocks.1.attn")
    assert "from channel to channel" in engine.omissions["blocks.0.attn"]


def test_layers():
    model, batch = families.build("timm vit"), families.images("timm vit")
    every = AttentionEngine(model)(batch).maps["attention"]
    for layers, places in (
        ([-1], [2]),
        ([2, 0], [2, 0]),
        (["blocks.1"], [1]),
        (["blocks.1.attn", "-1"], [1, 2]),
    ):
        engine = AttentionEngine(model, layers)
        result = engine(batch)
        assert torch.equal(result.maps["attention"], every[:, places])
        assert result.layer_names["attention"] == tuple(f"blocks.{i}.attn" for i in places)
    with pytest.raises(InputError, match="--layer 3: the model shows 3"):
        AttentionEngine(model, [3])(batch)
    with pytest.raises(InputError, match=r"'blocks.7.attn' .* nearest: blocks\."):
        AttentionEngine(model, ["blocks.7.attn"])(batch)
    batch_of_xcit = families.images("timm xcit")
    with pytest.raises(InputError, match="can't be shown: it attends from channel"):
        AttentionEngine(families.build("timm xcit"), ["blocks.0.attn"])(batch_of_xcit)


class Bare(nn.Module):
    """A Transformer whose CLS token has a name nobody knows."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 8, 8)
        self.first = nn.Parameter(torch.randn(1, 1, 8))
        self.qkv = nn.Linear(8, 24)

    def forward(self, images):
        x = self.patch(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(len(x), -1, -1), x], 1)
        q, k, v = self.qkv(x)[:, None].chunk(3, -1)
        return F.scaled_dot_product_attention(q, k, v)[:, 0, 0]


def test_prefix_tokens_given():
    batch = torch.randn(2, 3, 32, 32)
    with pytest.raises(InputError, match=r"17 keys are no grid .* 32×32 .* --prefix-tokens"):
        AttentionEngine(Bare())(batch)
    engine = AttentionEngine(Bare(), prefix_tokens=1)
    assert engine(batch).maps["attention"].shape == (2, 1, 1, 4, 4)
    assert engine.query == "cls"


class Pruned(nn.Module):
    """Later layers see fewer tokens: their keys can't be told from one another."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 8, 8)
        self.blocks = nn.ModuleList(nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(2))

    def forward(self, images):
        x = self.patch(images).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x, x, x, need_weights=False)[0][:, 1:]
        return x.mean(1)


def test_layers_that_cannot_be_placed_are_not_dropped():
    batch = torch.randn(2, 3, 32, 32)
    with pytest.raises(InputError, match=r"1 of 2 attention layers .*blocks.1: its 15 keys"):
        AttentionEngine(Pruned())(batch)
    assert AttentionEngine(Pruned(), [0])(batch).maps["attention"].shape == (2, 1, 2, 4, 4)


def test_batches_of_other_sizes():
    engine = AttentionEngine(families.build("timm vit"))
    for count in (2, 3, 1, 2):
        assert engine(families.images("timm vit", count)).maps["attention"].shape[0] == count


def test_nothing_stays_behind():
    model, batch = families.build("timm vit"), families.images("timm vit")
    AttentionEngine(model)(batch)
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in model.modules())
    assert all(p.grad is None for p in model.parameters())
    assert torch.backends.mha.get_fastpath_enabled()


def test_compiled():
    torch._dynamo.reset()
    name = "timm vit"
    model, batch = families.build(name), families.images(name)
    plain = AttentionEngine(model)(batch)
    engine = AttentionEngine(torch.compile(model, backend="eager"))  # type: ignore[arg-type]
    result = engine(batch)
    assert result.maps.keys() == plain.maps.keys()
    for key, values in plain.maps.items():
        torch.testing.assert_close(result.maps[key], values, atol=1e-6, rtol=0)
    assert all("blocks" in path for paths in result.layer_names.values() for path in paths)


class OfVolumes(nn.Module):
    """A Transformer over volumes."""

    def __init__(self):
        super().__init__()
        self.patch_size = 4
        self.patch = nn.Conv3d(1, 8, 4, 4)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, volumes):
        x = self.patch(volumes).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1)
        return self.attention(x, x, x)[0][:, 0]


def test_volumes():
    model, batch = OfVolumes().eval(), torch.randn(2, 1, 16, 12, 8)
    result = AttentionEngine(model)(batch)
    assert result.maps["attention"].shape == (2, 1, 2, 4, 3, 2)
    row = matrices(model, batch)[0][1, 0, 0, 1:]
    got = result.maps["attention"][1, 0, 0, 3, 1, 0]
    torch.testing.assert_close(got, row[3 * 6 + 1 * 2], atol=1e-6, rtol=0)


def test_unknown_query():
    with pytest.raises(InputError, match="'max'"):
        AttentionEngine(families.build("timm vit"), query="max")  # type: ignore[arg-type]


class Written(nn.Module):
    """Attention written by hand, with its matrices in the axes that ``fold`` gives them."""

    def __init__(self, fold, back):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 8, 8)
        self.qkv = nn.Linear(8, 24)
        self.fold, self.back = fold, back

    def forward(self, images):
        return self.attend(self.patch(images).flatten(2).transpose(1, 2)).mean(1)

    def attend(self, x):
        q, k, v = (self.fold(part) for part in self.qkv(x).chunk(3, -1))
        return self.back((q @ k.transpose(-1, -2)).softmax(-1) @ v)


class Around(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.inner.forward = inner.attend

    def forward(self, images):
        return self.inner(self.inner.patch(images).flatten(2).transpose(1, 2)).mean(1)


def test_heads_in_the_first_axis():
    def fold(x):
        return x.unflatten(-1, (2, 4)).transpose(1, 2).flatten(0, 1)

    def back(x):
        return x.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2)

    model, batch = Around(Written(fold, back)), torch.randn(3, 3, 32, 32)
    got = AttentionEngine(model)(batch).maps["attention"]
    (matrix,) = matrices(model, batch)
    assert matrix.shape == (6, 1, 16, 16)
    torch.testing.assert_close(got[2, 0, 1].flatten(), matrix[5, 0].mean(0), atol=1e-6, rtol=0)


def test_windows_nobody_knows_are_not_taken_for_heads():
    """Four windows of 2×2 patches, whose 4 keys would make a grid of their own."""

    def fold(x):
        return x.reshape(len(x), 2, 2, 2, 2, 8).transpose(2, 3).reshape(-1, 4, 8)

    def back(x):
        return x.reshape(-1, 2, 2, 2, 2, 8).transpose(2, 3).reshape(-1, 16, 8)

    with pytest.raises(InputError, match="8 attention matrices for 2 images: windows whose"):
        AttentionEngine(Around(Written(fold, back)))(torch.randn(2, 3, 32, 32))


def test_models_without_attention_and_with_attention_unseen():
    with pytest.raises(InputError, match=r"no attention that can be seen.*gradcam"):
        AttentionEngine(families.build("timm convnext"))(families.images("timm convnext"))
    model = families.build("timm vit")
    model.blocks[1].attn.forward = lambda x, **_: x
    with pytest.raises(InputError, match=r"seen in 2 of 3 modules .* not in blocks\.1\.attn"):
        AttentionEngine(model)(families.images("timm vit"))


def test_windows_beside_a_cls_token() -> None:
    """CLS rows of the trunk and what keys receive in windows are maps of their own."""
    trunk = VitSettings(
        dim=16, depth=2, heads=2, patch_size=(4, 4), image_size=(32, 32), num_classes=3, mlp_dim=32
    )
    torch.manual_seed(0)
    model = FewshotViT(FewshotSettings(trunk=trunk, use_mab=True, window=4)).eval()
    batch = torch.randn(2, 3, 32, 32)
    engine = AttentionEngine(model)
    result = engine(batch)
    maps = result.maps
    shown = {engine.map_kinds[name]: name for name in maps}
    windows = shown["windows"]
    with torch.no_grad(), capture(model, full, ("sdpa", "softmax")) as seen:
        model(batch)
    by_path = {record.path: record.value for record in seen.records}
    first = result.layer_names[windows][0]
    weights = by_path[first]  # (images x windows, heads, 16, 16); the first block is not shifted
    for image in range(2):
        for row in range(2):
            for column in range(2):
                place = (image * 2 + row) * 2 + column
                wanted = weights[place].mean(1).reshape(2, 4, 4)
                found = maps[windows][
                    image, 0, :, row * 4 : row * 4 + 4, column * 4 : column * 4 + 4
                ]
                torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)
    trunk_maps = maps[shown["cls"]]
    name = result.layer_names[shown["cls"]][0]
    torch.testing.assert_close(
        trunk_maps[:, 0].flatten(2), by_path[name][:, :, 0, 1:], atol=1e-6, rtol=0
    )
