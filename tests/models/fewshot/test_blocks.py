"""Channel attention and the fusion of convolutions against their formulas in float64 loops."""

from __future__ import annotations

import torch
from torch import Tensor

from fastcam.attribution.attention.capture import capture
from fastcam.attribution.attention.records import gate
from fastcam.models.fewshot.blocks import Bottleneck, ChannelAttention, Fusion


def depthwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x (h, w, c), weight (c, 1, s, s): zero outside, one place at a time."""
    h, w, c = x.shape
    reach = weight.shape[-1] // 2
    out = torch.zeros_like(x)
    for y in range(h):
        for right in range(w):
            for dy in range(-reach, reach + 1):
                for dx in range(-reach, reach + 1):
                    if 0 <= y + dy < h and 0 <= right + dx < w:
                        out[y, right] += (
                            x[y + dy, right + dx] * weight[:, 0, dy + reach, dx + reach]
                        )
            out[y, right] += bias
    assert c == len(bias)
    return out


def test_channel_attention_is_the_formula() -> None:
    torch.manual_seed(0)
    layer = ChannelAttention(16, reduction=4).double()
    x = torch.randn(2, 5, 4, 16, dtype=torch.float64)
    with torch.no_grad(), capture(layer, gate) as seen:
        out = layer(x)
    (record,) = seen.records
    values, energy = record.value
    for image, found, s, e in zip(x, out, values, energy, strict=True):
        flat = image.reshape(20, 16)
        with torch.no_grad():
            both = sum(
                layer.fc2.weight @ (layer.fc1.weight @ pooled + layer.fc1.bias).clamp_min(0)
                + layer.fc2.bias
                for pooled in (flat.sum(0) / 20, flat.max(0).values)
            )
            expected = 1 / (1 + torch.exp(-both))
            gated = depthwise(image * expected, layer.conv.weight, layer.conv.bias)  # type: ignore[arg-type]
        torch.testing.assert_close(s, expected.float())
        torch.testing.assert_close(e, (image.abs() * expected).sum(-1).float())
        torch.testing.assert_close(found, gated)


def bottleneck(layer: Bottleneck, x: Tensor) -> Tensor:
    hidden = layer.fc1.weight @ x + layer.fc1.bias
    centred = hidden - hidden.mean()
    normed = centred / torch.sqrt(centred.square().mean() + layer.norm.eps)
    normed = normed * layer.norm.weight + layer.norm.bias
    return layer.fc2.weight @ normed.clamp_min(0) + layer.fc2.bias


def test_fusion_is_the_formula() -> None:
    torch.manual_seed(1)
    layer = Fusion(8, reduction=2).double()
    x = torch.randn(1, 4, 5, 8, dtype=torch.float64)
    with torch.no_grad(), capture(layer, gate) as seen:
        out = layer(x)[0]
        given = layer.norm(x)[0]
        maps = [depthwise(given, conv.weight, conv.bias) for conv in layer.convs]  # type: ignore[arg-type]
        mean = sum(maps).reshape(20, 8).mean(0)
        scores = layer.fc2.weight @ (layer.fc1.weight @ mean + layer.fc1.bias).clamp_min(0)
        powers = (scores + layer.fc2.bias).reshape(3, 8).exp()
        shares = powers / powers.sum(0)
        fused = sum(share * found for share, found in zip(shares, maps, strict=True))
        whole = bottleneck(layer.attention.whole, fused.reshape(20, 8).mean(0))
        expected = torch.zeros_like(fused)
        for y in range(4):
            for right in range(5):
                local = bottleneck(layer.attention.local, fused[y, right])
                share = 1 / (1 + torch.exp(-(local + whole)))
                expected[y, right] = x[0, y, right] + share * fused[y, right]
    torch.testing.assert_close(out, expected)
    # Its softmax chooses among branches: no attention between places, and no gate of channels.
    assert seen.records == []


def test_three_sizes_of_convolution() -> None:
    assert [conv.kernel_size for conv in Fusion(4).convs] == [(3, 3), (5, 5), (7, 7)]
    assert all(conv.groups == 4 for conv in Fusion(4).convs)
