"""``fastcam render`` on stores of maps of volumes, from end to end."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

from .... import sample_map_stores

Call = Callable[..., Any]


def test_volumes(maps: Call, tmp_path: Path, rows: Call) -> None:
    store = sample_map_stores.volume_store(tmp_path)
    assert maps().code == 0
    listed = rows(tmp_path / "out" / "figures.csv")
    for index, row in enumerate(listed):
        values = store.map("gradcam/features", index)
        z = int(row["slice"])
        assert row["path"] == f"00{index + 1}_v{index}_slice{z}.png"
        enlarged = interpolate(
            torch.from_numpy(values)[None, None], (10, 8, 6), mode="trilinear", align_corners=False
        )
        assert z == int(enlarged[0, 0].amax(dim=(1, 2)).argmax())
        assert row["best"] == "True"


def test_all_slices_of_volumes(maps: Call, tmp_path: Path, rows: Call) -> None:
    store = sample_map_stores.volume_store(tmp_path)
    assert maps("--mode", "all_slices", "--patient", "v1").code == 0
    folder = tmp_path / "out" / "002_v1"
    means = store.map("gradcam/features", 1).mean(axis=(1, 2))
    drawn = sorted(path.name for path in folder.glob("*.png"))
    assert len(drawn) == 10
    # Slice 3 lies a quarter of the way from layer 1 to layer 2.
    average = 0.75 * means[1] + 0.25 * means[2]
    assert any(name.endswith(f"avg{average:.4f}.png") for name in drawn if "slice003" in name)
    assert sum("BEST" in name for name in drawn) == 1
    text = (folder / "_summary.txt").read_text()
    assert text.count("BEST") == 1
    assert "v1" in text
    (best,) = (name for name in drawn if "BEST" in name)
    assert f"\nBest slice:   {best[:8]}\n" in text
    assert all(name[:8] in text for name in drawn)
    assert len(rows(tmp_path / "out" / "figures.csv")) == 11


def test_a_volume_and_its_map_are_turned_together(
    maps: Call, tmp_path: Path, pictures: Call
) -> None:
    """A hot voxel that is bright in the volume stays on its place however the volume lies."""
    import nibabel

    hot = np.full((1, 10, 20, 16), 0.01, np.float32)
    hot[0, 4, 3, 12] = 1.0
    for name, affine in (("lps", sample_map_stores.AFFINE), ("ras", np.diag([1.0, 1.5, 2.0, 1.0]))):
        folder = tmp_path / name
        folder.mkdir()
        store = sample_map_stores.volume_store(folder, {"gradcam/f": np.repeat(hot, 2, 0)}, affine)
        voxels = (hot[0] < 0.5).astype(np.int16).transpose(2, 1, 0) * -1
        nibabel.Nifti1Image(voxels, affine).to_filename(store.root / "v0.nii.gz")
        shutil.rmtree(tmp_path / "run.zarr", ignore_errors=True)
        shutil.copytree(folder / "run.zarr", tmp_path / "run.zarr")
        out = tmp_path / f"out_{name}"
        assert maps("--patient", "v0", "--scale", "slice", "--style", "classic", out=out).code == 0
        (canvas,) = pictures(out).values()
        # The panels begin 262 pixels from each other: the least width of one, with its gap.
        image = canvas[95:159, 12:63, 0].astype(int)
        heat = canvas[95:159, 274:325, :2].astype(int).sum(axis=2)
        image[25:40, :16] = 0  # the letter of the side
        bright, hot_pixels = np.argwhere(image > 60), np.argwhere(heat > 60)
        assert np.abs(bright.mean(axis=0) - hot_pixels.mean(axis=0)).max() <= 1
        # Row 3 of 20 and column 12 of 16, each 3.2 pixels: where x runs to the patient's right and
        # y to the front, both are turned round.
        place = np.array([3.5, 12.5]) * 3.2
        expected = place if name == "lps" else np.array([64, 51.2]) - place
        assert np.abs(hot_pixels.mean(axis=0) - expected).max() <= 1.5
