"""Whole runs on a GPU beside the same on a CPU; `make gpu-check` runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import fastcam
from fastcam.store.maps import MapStore

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
MODEL = """
import torch
from torch import nn


class Net(nn.Module):
    image_size = 64

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(3, 16, 3, padding=1)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(torch.relu(self.layer(x)).mean((2, 3)))
"""


def infer(folder: Path, name: str, **options: Any) -> MapStore:
    """The store of a run over 10 images, in batches of 4."""
    model = folder / "nets.py"
    if not model.exists():
        model.write_text(MODEL, encoding="utf-8")
        (folder / "images").mkdir()
        rng = np.random.default_rng(0)
        for index in range(10):
            pixels = rng.integers(0, 256, (70, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / f"{index}.png")
    settings: dict[str, Any] = {"layers": ["layer"], "batch_size": 4, **options}
    report = fastcam.infer(f"{model}:Net", folder / "images", folder / name, **settings)
    assert report.done == 10
    return MapStore.open(report.store)


@pytest.mark.parametrize(
    ("precision", "tolerance"), [("fp32", 1e-3), ("bf16", 5e-2), ("fp16", 1e-2)]
)
def test_maps_are_those_of_a_cpu(tmp_path: Path, precision: str, tolerance: float) -> None:
    here = infer(tmp_path, "cpu", device="cpu")
    there = infer(tmp_path, precision, device="cuda", precision=precision, compile=False)
    for index in range(10):
        wanted = here.map("gradcam/layer", index)
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(
            there.map("gradcam/layer", index) / scale, wanted / scale, atol=tolerance
        )


def test_a_worker_for_each_gpu_writes_the_same_store(tmp_path: Path) -> None:
    one = infer(tmp_path, "one", device="cuda", precision="fp32", compile=False)
    several = infer(tmp_path, "several", devices="all", precision="fp32", compile=False)
    for index in range(10):
        assert np.array_equal(one.map("gradcam/layer", index), several.map("gradcam/layer", index))


def test_a_compiled_model_on_a_gpu(tmp_path: Path) -> None:
    plain = infer(tmp_path, "plain", device="cuda", precision="fp32", compile=False)
    compiled = infer(tmp_path, "compiled", device="cuda", precision="fp32", compile=True)
    for index in range(10):
        wanted = plain.map("gradcam/layer", index)
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(
            compiled.map("gradcam/layer", index) / scale, wanted / scale, atol=1e-3
        )
