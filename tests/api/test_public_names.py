"""``dir(fastcam)`` has everything public, and what functions return shows itself in a line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import fastcam

Call = Callable[..., Any]


def test_dir_lists_everything_public() -> None:
    assert {*fastcam._HOMES, "views", "__version__"} == set(dir(fastcam)) == set(fastcam.__all__)
    for name in dir(fastcam):
        assert getattr(fastcam, name) is not None


@pytest.fixture(scope="module")
def explanation() -> Any:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 2),
    )  # fmt: skip
    images = [np.full((8, 8, 3), value, np.uint8) for value in (10, 200)]
    return fastcam.explain(model, images, layers="1", image_size=8)


def test_an_explanation(explanation: Any) -> None:
    assert repr(explanation) == "<Explanation of 2 images: 1 (2, 8, 8)>"


def test_a_comparison(explanation: Any) -> None:
    both = fastcam.compare({"a": explanation, "b": explanation})
    assert repr(both) == "<Comparison of 2 models on 2 images>"


def test_figures_of_a_results_file(neck: Any, tmp_path: Path) -> None:
    report = fastcam.render(
        neck.results, root_dir=neck.images, output_dir=tmp_path / "out", workers=1, panel_size=96
    )
    assert repr(report) == f"<figures in {tmp_path / 'out'}: 3 drawn, 0 already there, 0 failed>"
    store = tmp_path / "out" / "run.zarr"
    assert repr(fastcam.open_store(store)) == f"<run store {store}: 3 cases, patch attention>"
    state = repr(fastcam.status(tmp_path / "out"))
    assert state == "<fastcam render, finished: 3 of 3 figures, 0 failed>"
