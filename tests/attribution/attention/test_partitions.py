"""Windows that aren't shifted, put back as the models' own functions do it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor, nn

from fastcam.attribution.attention.engine import AttentionEngine
from fastcam.attribution.attention.windows import WindowLayout, merge_windows

from ...torchvision_import import torchvision  # isort: skip
import timm
from timm.models.davit import window_reverse
from timm.models.maxxvit import grid_reverse
from timm.models.maxxvit import window_reverse as block_reverse

assert torchvision


def _model(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=3, **options).eval()


def _received(model: Any, images: Tensor) -> dict[str, Tensor]:
    """By path the mean over queries (b', heads, keys) of attention written out."""
    received: dict[str, Tensor] = {}
    handles = []
    for name, module in model.named_modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False
        if hasattr(module, "attn_drop"):

            def keep(_m: nn.Module, _i: Any, out: Tensor, name: str = name) -> None:
                received[name] = out.detach().mean(2)

            handles.append(module.attn_drop.register_forward_hook(keep))
    model(images)
    for handle in handles:
        handle.remove()
    return received


def _maps(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """By path the maps (b, heads, h, w) that fastcam shows."""
    result = AttentionEngine(model)(images)
    return {
        path: result.maps[name][:, number]
        for name, paths in result.layer_names.items()
        for number, path in enumerate(paths)
    }


def _check(maps: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert expected
    for path, values in expected.items():
        torch.testing.assert_close(maps[path], values, rtol=1e-4, atol=1e-6)


def test_davit() -> None:
    model = _model(
        "davit_tiny", depths=(1, 1), embed_dims=(16, 32), num_heads=(2, 4), window_size=4
    )
    images = torch.randn(2, 3, 64, 64)
    maps = _maps(model, images)
    received = {}
    handles = []
    for number, stage in enumerate(model.stages):
        attention = stage.blocks[0][0].attn
        attention.fused_attn = False

        def keep(module: nn.Module, _i: Any, out: Tensor, number: int = number) -> None:
            received[number] = out.softmax(-1) if out.sum() > out.numel() else out

        handles.append(attention.softmax.register_forward_hook(keep))
    model(images)
    for handle in handles:
        handle.remove()
    for number, side in enumerate((16, 8)):
        mass = received[number].mean(2)
        windows = mass.reshape(len(mass), -1, 4, 4).permute(0, 2, 3, 1)
        expected = window_reverse(windows.contiguous(), (4, 4), side, side).permute(0, 3, 1, 2)
        torch.testing.assert_close(
            maps[f"stages.{number}.blocks.0.0.attn"], expected, rtol=1e-4, atol=1e-6
        )


def test_maxvit_has_blocks_and_grids() -> None:
    model = _model("maxvit_pico_rw_256", img_size=64, depths=(1, 1, 1, 1))
    images = torch.randn(2, 3, 64, 64)
    maps = _maps(model, images)
    expected = {}
    for path, mass in _received(model, images).items():
        part: Any = model.get_submodule(path.rpartition(".")[0])
        sides = part.partition_size
        windows = mass.reshape(len(mass), -1, *sides).permute(0, 2, 3, 1).contiguous()
        count = len(mass) // 2
        side = round((count * sides[0] * sides[1]) ** 0.5)
        back = block_reverse if part.partition_block else grid_reverse
        expected[path] = back(windows, sides, (side, side)).permute(0, 3, 1, 2)
    _check(maps, expected)
    assert len(expected) == 8


def test_mobilevit_windows_have_one_pixel_of_each_patch() -> None:
    model, images = _model("mobilevit_xxs"), torch.randn(2, 3, 64, 64)
    maps = _maps(model, images)
    expected = {}
    for path, mass in _received(model, images).items():
        heads, keys = mass.shape[1:]
        side = round(keys**0.5)
        # (b, py, px, heads, ny, nx) to rows ny·2 + py.
        parts = mass.reshape(2, 2, 2, heads, side, side).permute(0, 3, 4, 1, 5, 2)
        expected[path] = parts.reshape(2, heads, 2 * side, 2 * side)
    _check(maps, expected)
    assert len(expected) == 9


@pytest.mark.parametrize("size", [128, 96])
def test_mobilevitv2_has_a_weight_for_each_pixel_of_a_patch(size: int) -> None:
    """Its separable attention (b, 1, pixels of a patch, patches) is put back by ``F.fold``."""
    model, images = _model("mobilevitv2_050"), torch.randn(2, 3, size, size)
    expected = {}
    handles = []
    for name, module in model.named_modules():
        if type(module).__name__ == "LinearSelfAttention":

            def keep(module: Any, inputs: Any, _o: Any, name: str = name) -> None:
                scores = module.qkv_proj(inputs[0])[:, 0].softmax(-1)
                side = round(scores.shape[-1] ** 0.5) * 2
                expected[name] = F.fold(scores, (side, side), 2, stride=2)

            handles.append(module.register_forward_hook(keep))
    with torch.no_grad():
        model(images)
    for handle in handles:
        handle.remove()
    _check(_maps(model, images), expected)
    assert len(expected) == 9


@pytest.mark.parametrize("size", [64, 96])
def test_tinyvit_pads_windows(size: int) -> None:
    model, images = _model("tiny_vit_5m_224"), torch.randn(2, 3, size, size)
    maps = _maps(model, images)
    assert len(maps) == 10
    for path, values in maps.items():
        stage = int(path.split(".")[1])
        side = -(-size // (4 * 2**stage))
        assert values.shape[-2:] == (side, side)
        # What a key receives sums to one over the places of its window, padding counted.
        assert float(values.sum((2, 3)).amax()) <= (-(-side // 7)) ** 2 + 1e-4


def test_dilated_windows_are_put_back() -> None:
    """Each window's tokens lie as far apart as there are windows."""
    grid = torch.arange(24.0).reshape(4, 6)
    layout = WindowLayout((4, 6), (2, 3), dilated=True)
    windows = [grid[y::2, x::2].reshape(-1) for y in range(2) for x in range(2)]
    assert torch.equal(merge_windows(torch.stack(windows)[:, None], layout)[0, 0], grid)
