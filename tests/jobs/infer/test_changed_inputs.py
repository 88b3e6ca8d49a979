"""Images that change after they were run: run again, with their batch and no other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from fastcam.api.infer import infer
from fastcam.store.maps import MapStore

MAP = "gradcam/first"


class Counting(nn.Module):
    """One convolution and a head, that counts its images."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)
        self.image_size = 16
        self.count = 0

    def forward(self, x: Tensor) -> Tensor:
        self.count += len(x)
        output: Tensor = self.head(torch.relu(self.first(x)).mean((2, 3)))
        return output


def write(folder: Path, index: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / f"im{index}.png")


def run(model: nn.Module, folder: Path, **options: Any) -> tuple[MapStore, Any]:
    report = infer(
        model,
        folder / "images",
        folder / "out",
        method="gradcam",
        layers=["first"],
        batch_size=2,
        workers=0,
        **options,
    )
    return MapStore.open(report.store), report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for index in range(5):
        write(tmp_path / "images", index, index)
    return tmp_path


def test_the_batch_of_an_image_that_changed_is_run_again(folder: Path) -> None:
    torch.manual_seed(0)
    model = Counting().eval()
    store, _ = run(model, folder)
    before = [store.map(MAP, index) for index in range(5)]
    write(folder / "images", 3, 99)
    os.utime(folder / "images" / "im0.png")
    model.count = 0
    store, report = run(model, folder, trust_inputs=True)
    assert (model.count, report.already) == (0, 5)
    store, report = run(model, folder)
    assert (report.done, report.already) == (2, 3)
    assert any("1 input changed: run again" in note for note in report.notes)
    after = [store.map(MAP, index) for index in range(5)]
    assert [np.array_equal(a, b) for a, b in zip(before, after, strict=True)] == [
        True, True, True, False, True,
    ]  # fmt: skip
    model.count = 0
    _, report = run(model, folder)
    assert (model.count, report.already) == (0, 5)


def test_a_bad_image_that_was_mended_is_run(folder: Path) -> None:
    torch.manual_seed(0)
    model = Counting().eval()
    (folder / "images" / "im4.png").write_bytes(b"no picture")
    _, report = run(model, folder)
    assert (report.done, report.failed) == (4, 1)
    write(folder / "images", 4, 4)
    store, report = run(model, folder)
    assert (report.done, report.failed, report.already) == (1, 0, 4)
    assert store.headers[4].status == "done"


@pytest.mark.parametrize("content", [None, b"", b"\0" * 40])
def test_maps_that_are_gone_or_cut_are_made_again(folder: Path, content: bytes | None) -> None:
    torch.manual_seed(0)
    model = Counting().eval()
    store, _ = run(model, folder)
    before = [store.map(MAP, index) for index in range(5)]
    (chunk,) = (store.path / "maps").rglob("c.1.0.0")
    if content is None:
        chunk.unlink()
    else:
        chunk.write_bytes(content)
    store, report = run(model, folder)
    assert (report.done, report.already) == (2, 3)
    assert report.notes == ["maps of 2 inputs are damaged or gone: run again"]
    assert all(np.array_equal(store.map(MAP, index), before[index]) for index in range(5))
    _, report = run(model, folder)
    assert (report.done, report.already, report.notes) == (0, 5, [])


def test_what_a_killed_run_left_of_a_new_store_is_removed(folder: Path) -> None:
    partial = folder / "out" / ".run.zarr.999999.part" / "cases"
    partial.mkdir(parents=True)
    torch.manual_seed(0)
    run(Counting().eval(), folder)
    assert not partial.parent.exists()
