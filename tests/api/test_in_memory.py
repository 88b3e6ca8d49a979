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
from tests.stored_volumes import write_series

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


def test_dicom_series_are_those_of_a_disk(images: Path, tmp_path: Path) -> None:
    """A folder of slices for each case: both the model's slices and the figures."""
    rng = np.random.default_rng(2)
    for case in ("a", "b"):
        local = tmp_path / "series" / case
        write_series(local, rng.integers(-500, 1500, (4, 20, 18)), np.diag([0.5, 0.7, 2.0, 1.0]))
        far_folder = as_path(f"{BUCKET}/series/{case}")
        far_folder.mkdir(parents=True, exist_ok=True)
        for file in local.iterdir():
            (far_folder / file.name).write_bytes(file.read_bytes())
    options: dict[str, Any] = {"layers": ["layer"], "slices": "all", "device": "cpu"}
    far = fastcam.infer(Net(), f"{BUCKET}/series", f"{BUCKET}/slices", workers=1, **options)
    near = fastcam.infer(Net(), tmp_path / "series", tmp_path / "slices", workers=0, **options)
    assert far.failures == near.failures == []
    stores = fastcam.open_store(f"{BUCKET}/slices/run.zarr"), fastcam.open_store(near.store)
    for index in range(2):
        maps = [store.map("gradcam/layer", index) for store in stores]
        np.testing.assert_array_equal(maps[0], maps[1])
        assert np.ptp(maps[0]) > 0
    fastcam.render(f"{BUCKET}/slices/run.zarr", output_dir=f"{BUCKET}/drawn", workers=2)
    fastcam.render(near.store, output_dir=tmp_path / "drawn")
    names = sorted(path.name for path in (tmp_path / "drawn").glob("*.png"))
    assert names
    for name in names:
        figure = as_path(f"{BUCKET}/drawn") / name
        assert figure.read_bytes() == (tmp_path / "drawn" / name).read_bytes()


def test_other_processes_are_refused(images: Path) -> None:
    with pytest.raises(InputError, match="memory of this process"):
        fastcam.infer("vit_small", f"{BUCKET}/images", f"{BUCKET}/far", devices=2)
    with pytest.raises(InputError, match=r"doesn't see memory://.*/far: memory"):
        fastcam.infer("vit_small", f"{BUCKET}/images", f"{BUCKET}/far", render="figures")
    cluster = existing_cluster("tcp://127.0.0.1:1")
    with pytest.raises(InputError, match="memory of this process"), cluster:
        pass
