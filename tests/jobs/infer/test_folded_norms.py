"""Normalizations folded into convolutions, by a whole run: its maps, and what is folded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from fastcam.store.maps import MapStore

from .test_job import Small, run


@pytest.fixture
def images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(7):
        pixels = rng.integers(0, 256, (40 + index, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"im{index}.png")
    return folder


class Normalized(Small):
    """With normalizations, which are folded into the convolutions in bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        norms = [nn.BatchNorm2d(4), nn.BatchNorm2d(6)]
        self.norms = nn.ModuleList(norms)
        for norm in norms:
            assert norm.running_var is not None
            assert norm.running_mean is not None
            nn.init.uniform_(norm.weight, 1, 3)
            nn.init.uniform_(norm.running_var, 0.2, 0.5)
            nn.init.normal_(norm.running_mean)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norms[0](self.first(x)))
        x = torch.relu(self.norms[1](self.second(x)))
        found: Tensor = self.head(x.mean((2, 3)))
        return found


def test_normalizations_in_bf16(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer within a pair has its own map, every batch the same arithmetic, and float32 runs the
    model as it is."""
    torch.manual_seed(1)
    model = Normalized().eval()
    forward, calls = nn.BatchNorm2d.forward, []

    def counted(norm: nn.BatchNorm2d, values: Tensor) -> Tensor:
        calls.append(len(values))
        return forward(norm, values)

    monkeypatch.setattr(nn.BatchNorm2d, "forward", counted)
    found = {}
    for precision, size in (("fp32", 2), ("bf16", 2), ("bf16", 1)):
        calls.clear()
        output = tmp_path / f"{precision}{size}"
        layers = ["second", "norms.1"]
        run(model, images, output, precision=precision, batch_size=size, layers=layers)
        found[precision, size] = MapStore.open(output / "run.zarr"), len(calls)
    exact, count = found["fp32", 2]
    assert count >= 2 * 4
    for size in (2, 1):
        store, count = found["bf16", size]
        # Seven before the first batch; then the hooked one alone, of two.
        assert count == 7 + -(-7 // size)
        for name in ("gradcam/second", "gradcam/norms.1"):
            for row in range(7):
                wanted = exact.map(name, row)
                close = {"atol": 0.05 * float(np.abs(wanted).max())}
                np.testing.assert_allclose(store.map(name, row), wanted, **close)
    pair = [found["bf16", size][0] for size in (2, 1)]
    first = [np.stack([store.map("gradcam/second", row) for row in range(7)]) for store in pair]
    np.testing.assert_allclose(*first, atol=0.05 * float(np.abs(first[0]).max()))
