"""memory:// through the public functions: all in this process, the same as on a disk."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import fastcam
from fastcam.errors import InputError
from fastcam.run.files import remove
from fastcam.run.scheduler import existing_cluster
from fastcam.storage import object_store
from fastcam.storage.locations import as_path

BUCKET = "memory://in-memory-test"


class Net(nn.Module):
    image_size = 16

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.layer(x)).mean((2, 3))


@pytest.fixture
def images(tmp_path: Path) -> Iterator[Path]:
    """The same five pictures in a local folder, which is returned, and in memory."""
    rng = np.random.default_rng(0)
    for number in range(5):
        packed = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (20, 18, 3), dtype=np.uint8)).save(packed, "PNG")
        for folder in (as_path(f"{BUCKET}/images"), tmp_path / "images"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"im{number}.png").write_bytes(packed.getvalue())
    yield tmp_path / "images"
    remove(as_path(BUCKET))
    # Whether memory is in use decides where later work runs.
    object_store._file_systems.clear()


def test_maps_and_figures_are_those_of_a_disk(images: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"layers": ["layer"], "batch_size": 2, "device": "cpu"}
    far = fastcam.infer(Net(), f"{BUCKET}/images", f"{BUCKET}/run", workers=1, **options)
    near = fastcam.infer(Net(), images, tmp_path / "run", workers=0, **options)
    assert far.failures == near.failures == []
    stores = fastcam.open_store(f"{BUCKET}/run/run.zarr"), fastcam.open_store(near.store)
    for index in range(5):
        maps = [store.map("gradcam/layer", index) for store in stores]
        np.testing.assert_array_equal(maps[0], maps[1])
    fastcam.render(f"{BUCKET}/run/run.zarr", output_dir=f"{BUCKET}/figures", workers=2)
    fastcam.render(near.store, output_dir=tmp_path / "figures")
    names = sorted(path.name for path in (tmp_path / "figures").glob("*.png"))
    assert len(names) == 5
    for name in names:
        figure = as_path(f"{BUCKET}/figures") / name
        assert figure.read_bytes() == (tmp_path / "figures" / name).read_bytes()
    again = fastcam.render(f"{BUCKET}/run/run.zarr", output_dir=f"{BUCKET}/figures", workers=2)
    assert again.drawn == 0


def test_other_processes_are_refused(images: Path) -> None:
    with pytest.raises(InputError, match="memory of this process"):
        fastcam.infer("vit_small", f"{BUCKET}/images", f"{BUCKET}/far", devices=2)
    cluster = existing_cluster("tcp://127.0.0.1:1")
    with pytest.raises(InputError, match="memory of this process"), cluster:
        pass
