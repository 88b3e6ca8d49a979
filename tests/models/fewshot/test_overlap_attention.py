"""Overlapping cross-attention against a float64 loop over queries and keys."""

from __future__ import annotations

import math

import pytest
import torch

from fastcam.attribution.attention.capture import capture
from fastcam.attribution.attention.windows import WindowLayout, sum_windows
from fastcam.errors import InputError
from fastcam.models.fewshot.settings import allowed_ratios, enlarged_window
from fastcam.models.fewshot.window_attention import OverlapAttention
from tests.attribution.reducers import full


def made(grid: tuple[int, int], window: int, enlarged: int) -> OverlapAttention:
    torch.manual_seed(5)
    layer = OverlapAttention(8, 2, grid, window, enlarged).eval()
    torch.nn.init.normal_(layer.relative_position_bias_table)
    return layer.double()


def test_the_formula_place_by_place() -> None:
    grid, window, enlarged = (4, 6), 2, 4
    layer = made(grid, window, enlarged)
    x = torch.randn(2, *grid, 8, dtype=torch.float64)
    with torch.no_grad():
        q = layer.q(x).reshape(2, *grid, 2, 4)
        k, v = layer.kv(x).reshape(2, *grid, 2, 2, 4).unbind(3)
        mixed = torch.zeros(2, *grid, 2, 4, dtype=torch.float64)
        for y in range(grid[0]):
            for right in range(grid[1]):
                top, left = y // 2 * 2, right // 2 * 2
                scores, values = [], []
                for ky in range(max(top - 1, 0), min(top + 3, grid[0])):
                    for kx in range(max(left - 1, 0), min(left + 3, grid[1])):
                        row = (y - ky + 2) * 5 + right - kx + 2
                        score = (q[:, y, right] * k[:, ky, kx]).sum(-1) / math.sqrt(4)
                        scores.append(score + layer.relative_position_bias_table[row])
                        values.append(v[:, ky, kx])
                weights = torch.stack(scores).softmax(0)[..., None]
                mixed[:, y, right] = (weights * torch.stack(values)).sum(0)
        expected = layer.proj(mixed.reshape(2, *grid, 8))
        torch.testing.assert_close(layer(x), expected)


def test_recorded_weights_leave_nothing_in_the_padding() -> None:
    layer = made((4, 6), 2, 4)
    model = torch.nn.Sequential(layer)
    with torch.no_grad(), capture(model, full) as seen:
        model(torch.randn(2, 4, 6, 8, dtype=torch.float64))
    (record,) = seen.records
    assert record.shape == (12, 2, 4, 16)
    torch.testing.assert_close(record.value.sum(-1), torch.ones(12, 2, 4))
    received = record.value.sum(2)
    back = sum_windows(received, WindowLayout((4, 6), (2, 2), reach=(1, 1)))
    torch.testing.assert_close(back.sum((2, 3)), torch.full((2, 2), 24.0))


def test_only_ratios_with_whole_padding() -> None:
    assert [enlarged_window(7, ratio) for ratio in (2 / 7, 0.286, 4 / 7, 6 / 7, 2.0)] == [
        9,
        9,
        11,
        13,
        21,
    ]
    assert enlarged_window(7) == 11
    assert enlarged_window(4) == 6
    assert enlarged_window(16, 0.5) == 24
    assert len(allowed_ratios(7)) == 7
    for ratio in (0.5, 0.0, 1 / 7, -2 / 7, 3.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"use 0\.2857 \(2 tokens\), 0\.5714 \(4 tokens\)"):
            enlarged_window(7, ratio)
