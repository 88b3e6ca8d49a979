"""Keys that don't lie as places do, against the functions that put them in order."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fastcam.attribution.attention.engine import AttentionEngine
from fastcam.attribution.attention.key_order import (
    KeyOrder,
    Packing,
    pooled_runs,
    unroll_order,
    unrolled,
)
from fastcam.attribution.cam.engine import CamEngine

from .. import families

from ...torchvision_import import torchvision  # isort: skip
import timm
from timm.models.hiera import Unroll

assert torchvision


def test_the_order_is_that_of_hiera() -> None:
    tokens = torch.arange(8 * 16).reshape(1, -1, 1)
    unroll = Unroll((32, 64), (4, 4), [(2, 2), (2, 2), (1, 2)])
    assert torch.equal(unroll_order((8, 16), unroll.schedule), unroll(tokens).flatten())


def test_places_show_their_own_keys() -> None:
    """Tokens numbered by their place come back in the places' order, also in mask units."""
    model = nn.Module()
    model.unroll = Unroll((32, 32), (4, 4), [(2, 2), (2, 2)])
    numbers = model.unroll(torch.arange(64.0).reshape(1, -1, 1))[0, :, 0]
    for windows in (1, 4):
        found = unrolled(model, "blocks.0.attn", 64, windows)
        assert found is not None
        grid, order = found
        # Hiera reshapes tokens to (keys of a mask unit, mask units).
        keys = numbers.reshape(-1, windows).T[:, None]
        assert grid == (8, 8)
        assert torch.equal(order.placed(keys, 1)[0, 0], torch.arange(64.0))
    after = unrolled(model, "blocks.0.attn", 16, 1)
    assert after is not None
    assert after[0] == (4, 4)
    assert unrolled(model, "blocks.0.attn", 48, 1) is None


def test_runs_share_their_key_out() -> None:
    model = nn.Module()
    model.attn = nn.Module()
    model.attn.sr = nn.AvgPool1d(4, 4)
    order = pooled_runs(model, "attn", 16, 4)
    assert order is not None
    keys = torch.rand(2, 3, 4)
    # What a mean gives back to each of its tokens.
    leaf = torch.zeros(2, 3, 16, requires_grad=True)
    (model.attn.sr(leaf) * keys).sum().backward()
    torch.testing.assert_close(order.placed(keys, 2), leaf.grad)
    assert pooled_runs(model, "attn", 12, 4) is None


def test_heads_in_the_first_axis() -> None:
    values = torch.rand(2, 3, 4, 5)  # images, windows, heads, keys
    expected = values.reshape(6, 4, 5)
    assert torch.equal(Packing(3, 4).unpacked(values.reshape(24, 1, 5), 2), expected)
    heads_first = values.transpose(1, 2).reshape(24, 1, 5)
    assert torch.equal(Packing(3, 4, heads_first=True).unpacked(heads_first, 2), expected)
    assert KeyOrder((0,)).windows == 1


def test_nextvit_shows_what_its_runs_of_tokens_receive() -> None:
    """Attention written out, each key's mass given to the tokens of which it is the mean."""
    model = families.build("timm nextvit")
    images = families.images("timm nextvit")
    received: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        if isinstance(module, timm.models.nextvit.EfficientAttention):
            module.fused_attn = False

            def keep(_m: nn.Module, _i: object, out: Tensor, name: str = name) -> None:
                if len(out) == len(images):
                    received[name] = out.detach().mean(2)

            module.attn_drop.register_forward_hook(keep)
    result = AttentionEngine(model)(images)
    for number, (path, mass) in enumerate(received.items()):
        name = next(name for name, paths in result.layer_names.items() if path in paths)
        shown = result.maps[name][:, result.layer_names[name].index(path)].flatten(2)
        run = shown.shape[2] // mass.shape[2]
        assert run == (16, 4, 4, 1)[number]
        torch.testing.assert_close(
            shown, mass.repeat_interleave(run, 2) / run, rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize(("layer", "side"), [("blocks.0", 16), ("blocks.1", 8), ("blocks.5", 4)])
def test_cams_of_hieras_layers_lie_in_the_image(layer: str, side: int) -> None:
    """A bright square on black, which the first singular vector of the activations shows."""
    image = torch.zeros(1, 3, 64, 64)
    image[:, :, 8:16, 48:56] = 4
    model = families.build("timm hiera")
    maps = CamEngine(model, [layer], ["eigencam"])(image).maps[f"eigencam/{layer}"]
    row, column = divmod(int(maps[0].abs().argmax()), side)
    assert maps.shape[1:] == (side, side)
    assert row in range(side // 8, side // 4 + 1)
    assert column in range(3 * side // 4, side)
