"""Vision Transformers that run more than once, for several views, and blocks that do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fastcam.attribution.attention.engine import AttentionEngine
from fastcam.attribution.attention.rollout import RolloutEngine
from fastcam.attribution.attention.vit_pass import run_vit
from fastcam.errors import InputError
from fastcam.store.map_fields import MapField

from ..repeated import Block, TinyVit, TwoVits


def weights_of(block: Block, tokens: Tensor) -> Tensor:
    """The attention (b, heads, n, n) of a block, by its definition."""
    q, k, _ = block.heads(tokens)
    return (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1)


def slow_rollout(layers: list[Tensor]) -> Tensor:
    """Abnar & Zuidema, with whole matrices: the row of CLS, without CLS."""
    n = layers[0].shape[-1]
    product = torch.eye(n)
    for weights in layers:
        mixed = weights.mean(1) + torch.eye(n)
        product = (mixed / mixed.sum(-1, keepdim=True)) @ product
    return product[:, 0, 1:]


@torch.no_grad()
def stack_of(vit: TinyVit, image: Tensor) -> list[Tensor]:
    tokens, layers = vit.tokens(image), []
    for block in [vit.blocks[0]] * (vit.again - 1) + list(vit.blocks):
        assert isinstance(block, Block)
        layers.append(weights_of(block, tokens))
        tokens = block(tokens)
    return layers


@pytest.mark.parametrize("halves", [False, True])
def test_a_rollout_for_every_view(halves: bool) -> None:
    torch.manual_seed(0)
    net = TwoVits(halves).eval()
    engine = RolloutEngine(net)
    for _ in range(2):  # The second time calls are seen by name.
        x = torch.randn(2, 3 if halves else 6, 16, 48 if halves else 24)
        found = engine(x)
        assert list(found.maps) == ["rollout/vit#0", "rollout/vit#1"]
        for number, part in enumerate(net.parts(x)):
            expected = slow_rollout(stack_of(net.vit, part)).reshape(2, 2, 3)
            torch.testing.assert_close(found.maps[f"rollout/vit#{number}"], expected)
    if halves:
        # Each lies over its own half.
        first, second = found.fields["rollout/vit#0"], found.fields["rollout/vit#1"]
        assert first == MapField((16, 48), (0.0, 0.0), (8.0, 8.0), ((0.0, 16.0), (0.0, 24.0)))
        assert second == MapField((16, 48), (0.0, 24.0), (8.0, 8.0), ((0.0, 16.0), (24.0, 48.0)))
    else:
        assert found.fields == {}


def test_a_block_run_again_is_one_more_layer() -> None:
    torch.manual_seed(0)
    vit = TinyVit(depth=2, again=3).eval()
    x = torch.randn(2, 3, 16, 24)
    found = RolloutEngine(vit)(x)
    assert list(found.maps) == ["rollout"]
    expected = slow_rollout(stack_of(vit, x)).reshape(2, 2, 3)
    torch.testing.assert_close(found.maps["rollout"], expected)


@pytest.mark.parametrize("halves", [False, True])
def test_attention_of_every_call(halves: bool) -> None:
    torch.manual_seed(0)
    net = TwoVits(halves).eval()
    x = torch.randn(2, 3 if halves else 6, 16, 48 if halves else 24)
    names = tuple(f"vit.blocks.{block}#{call}" for call in (0, 1) for block in (0, 1))
    found = AttentionEngine(net)(x)
    expected = torch.stack(
        [w[:, :, 0, 1:] for part in net.parts(x) for w in stack_of(net.vit, part)], 1
    ).reshape(2, 4, 2, 2, 3)
    if halves:
        # What lies over the left half and what lies over the right one are no one map.
        assert found.layer_names == {
            "attention/stage1": names[:2],
            "attention/stage2": names[2:],
        }
        values = torch.cat(list(found.maps.values()), 1)
        starts = [of_map.offset[1] for of_map in found.fields.values()]
        assert starts == [0.0, 24.0]
    else:
        assert found.layer_names == {"attention": names}
        values = found.maps["attention"]
    torch.testing.assert_close(values, expected)


def test_layers_by_name() -> None:
    net = TwoVits().eval()
    x = torch.randn(1, 6, 16, 24)
    whole = AttentionEngine(net)(x).maps["attention"]
    for layers, kept in (
        (["vit.blocks.1"], [1, 3]),
        (["vit.blocks.1#1"], [3]),
        (["vit.blocks.0#1", "vit.blocks.1"], [2, 1, 3]),
        ([-1], [3]),
    ):
        found = AttentionEngine(net, layers)(x)
        torch.testing.assert_close(found.maps["attention"], whole[:, kept])
    with pytest.raises(InputError, match=r"layer 'vit\.blocks\.1#2' has no attention"):
        AttentionEngine(net, ["vit.blocks.1#2"])(x)


def test_the_views_show_one_pass() -> None:
    with pytest.raises(InputError, match="TwoVits calls 'vit' 2 times, each time for an image"):
        run_vit(TwoVits().eval(), torch.randn(1, 6, 16, 24))
    vit = TinyVit(depth=1, again=2).eval()
    assert [layer.name for layer in run_vit(vit, torch.randn(1, 3, 16, 24)).layers] == [
        "blocks.0#0",
        "blocks.0#1",
    ]


def test_patches_that_are_no_equal_parts() -> None:
    vit = TinyVit().eval()
    assert run_vit(vit, torch.randn(1, 3, 16, 24)).grid == (2, 3)
    with pytest.raises(InputError, match=r"TinyVit pads images of 20 x 24 .* --image-size 16 24"):
        run_vit(vit, torch.randn(1, 3, 20, 24))
