"""Window attention against timm's, and against a float64 loop over windows."""

from __future__ import annotations

import pytest
import torch

from fastcam.attribution.attention.capture import capture
from fastcam.attribution.attention.windows import layout_of, merge_windows, window_module
from fastcam.models.fewshot.window_attention import WindowAttention
from tests.attribution.reducers import full

from ...torchvision_import import torchvision  # isort: skip
from timm.models import swin_transformer as swin

assert torchvision


def made(
    dim: int, heads: int, grid: tuple[int, int], window: int, shifted: bool
) -> WindowAttention:
    torch.manual_seed(3)
    layer = WindowAttention(dim, heads, grid, window, shifted).eval()
    torch.nn.init.normal_(layer.relative_position_bias_table)
    return layer


@pytest.mark.parametrize(
    ("grid", "shift"), [((14, 14), (0, 0)), ((14, 14), (3, 3)), ((7, 14), (0, 3))]
)
def test_the_numbers_are_timms(grid: tuple[int, int], shift: tuple[int, int]) -> None:
    layer = made(384, 6, grid, 7, any(shift))
    assert layer.shift_size == shift
    block = swin.SwinTransformerBlock(384, grid, 6, window_size=7, shift_size=3 * any(shift))
    block.eval().attn.load_state_dict(layer.state_dict(), strict=False)
    assert set(layer.state_dict()) == set(dict(block.attn.named_parameters()))
    x = torch.randn(2, *grid, 384)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), block._attn(x), atol=1e-5, rtol=1e-5)


def test_the_formula_place_by_place_in_float64() -> None:
    grid, window, dim, heads = (6, 9), 3, 8, 2
    layer = made(dim, heads, grid, window, shifted=True).double()
    x = torch.randn(1, *grid, dim, dtype=torch.float64)
    with torch.no_grad():
        out = layer(x)
        q, k, v = layer.qkv(x[0]).reshape(*grid, 3, heads, 4).unbind(2)
        table = layer.relative_position_bias_table
        mixed = torch.zeros(*grid, heads, 4, dtype=torch.float64)
        for y in range(grid[0]):
            for right in range(grid[1]):
                # Rolled by one: the window of a place, and the places of it from the same side.
                ry, rx = (y - 1) % grid[0], (right - 1) % grid[1]
                places, scores = [], []
                for ky in range(ry // 3 * 3, ry // 3 * 3 + 3):
                    for kx in range(rx // 3 * 3, rx // 3 * 3 + 3):
                        # Before the roll, on the far side of the border what lies at 0 wrapped.
                        if (ky == grid[0] - 1) != (ry == grid[0] - 1):
                            continue
                        if (kx == grid[1] - 1) != (rx == grid[1] - 1):
                            continue
                        place = (ky + 1) % grid[0], (kx + 1) % grid[1]
                        row = (ry - ky + 2) * 5 + rx - kx + 2
                        score = (q[y, right] * k[place]).sum(-1) / 2 + table[row]
                        places.append(place)
                        scores.append(score)
                weights = torch.stack(scores).softmax(0)
                for weight, place in zip(weights, places, strict=True):
                    mixed[y, right] += weight[:, None] * v[place]
        expected = layer.proj(mixed.reshape(*grid, dim))
    torch.testing.assert_close(out[0], expected)


@pytest.mark.parametrize("shifted", [False, True])
def test_recorded_weights_lie_where_the_layout_says(shifted: bool) -> None:
    grid, window = (14, 14), 7
    model = torch.nn.Sequential(made(12, 2, grid, window, shifted))
    with torch.no_grad():
        # Keys answer to the first channel alone, and one place has it: all look there.
        model[0].qkv.weight.zero_()
        model[0].qkv.bias.zero_()
        model[0].relative_position_bias_table.zero_()
        model[0].qkv.bias[[0, 6]] = 40.0
        model[0].qkv.weight[[12, 18], 0] = 40.0
    x = torch.zeros(1, *grid, 12)
    x[0, 4, 5, 0] = 1.0
    with torch.no_grad(), capture(model, full) as seen:
        model(x)
    (record,) = seen.records
    assert record.path == "0"
    assert record.shape == (4, 2, 49, 49)
    path, module = window_module(model, record.path)  # type: ignore[misc]
    assert path == "0"
    on_grid = merge_windows(record.value.mean(2), layout_of(module, grid))
    assert on_grid.shape == (1, 2, *grid)
    for head in on_grid[0]:
        assert divmod(int(head.argmax()), 14) == (4, 5)
        assert float(head.max()) == pytest.approx(1.0)


def test_a_single_window_is_not_shifted() -> None:
    assert made(8, 2, (4, 8), 4, shifted=True).shift_size == (0, 2)
    assert made(8, 2, (4, 4), 4, shifted=True).shift_size == (0, 0)
