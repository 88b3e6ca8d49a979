"""The model files of examples/ run as the guides say."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fastcam.store.maps import MapStore

EXAMPLES = Path(__file__).parents[2] / "examples"
Call = Callable[..., Any]
pytestmark = pytest.mark.filterwarnings("ignore:.*weights are random")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    noise = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(noise.integers(0, 255, (32, 32, 3), np.uint8)).save(folder / f"{name}.png")
    return folder


def test_small_cnn(fastcam: Call, images: Path, tmp_path: Path) -> None:
    model = f"{EXAMPLES / 'small_cnn.py'}:build"
    outcome = fastcam("infer", images, "--model", model, "--num-classes", 3, "--image-size", 32,
                      "--output-dir", tmp_path / "run")  # fmt: skip
    assert outcome.code == 0, outcome.err
    store = MapStore.open(tmp_path / "run" / "run.zarr")
    assert [len(header.output) for header in store.headers] == [3, 3]


def test_two_inputs(fastcam: Call, images: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["scan", "age"], ["images/a.png", "40"], ["images/b.png", "60"]]
        )
    model = f"{EXAMPLES / 'two_inputs.py'}:build"
    inputs = ("--input", "image=scan", "--input", "age=age")
    outcome = fastcam("infer", table, "--model", model, "--image-size", 32, *inputs,
                      "--output-dir", tmp_path / "run")  # fmt: skip
    assert outcome.code == 0, outcome.err


def test_volume_net(fastcam: Call, tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    noise = np.random.default_rng(0).integers(0, 999, (16, 16, 16)).astype(np.int16)
    np.save(tmp_path / "scans" / "a.npy", noise)
    model = f"{EXAMPLES / 'volume_net.py'}:build"
    outcome = fastcam("infer", tmp_path / "scans", "--model", model, "--image-size", "16x16x16",
                      "--mean", "0", "--std", "1", "--output-dir", tmp_path / "run")  # fmt: skip
    assert outcome.code == 0, outcome.err
    store = MapStore.open(tmp_path / "run" / "run.zarr")
    assert store.headers[0].status == "done"
