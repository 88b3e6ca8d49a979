"""A model of volumes on a test set: maps are measured against masks of voxels."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fastcam

from ...stored_volumes import save_masks, save_turned


class Bright(nn.Module):
    """The mean of a volume's voxels, 0 to 1; the map of ``features`` is the volume, halved."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv3d(1, 1, 2, stride=2, bias=False)
        self.head = nn.Linear(1, 1, bias=False)
        with torch.no_grad():
            self.features.weight.fill_(1 / 8)
            self.head.weight.fill_(1.0)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.features(x).mean((2, 3, 4)))
        return found


def save(path: Path, voxels: np.ndarray) -> None:
    nib.save(nib.Nifti1Image(voxels.transpose(2, 1, 0), np.eye(4)), path)


@pytest.mark.parametrize("one_slice", [False, True])
def test_maps_of_volumes_are_measured_in_three_dimensions(tmp_path: Path, one_slice: bool) -> None:
    for name in ("Images", "Masks"):
        (tmp_path / name).mkdir()
    rows = [("file", "level")]
    for index, side in enumerate((2, 4, 8)):
        voxels = np.zeros((8, 12, 16), np.float32)
        box = np.s_[4 : 4 + min(side, 4), 2:6, 4 : 4 + side]
        voxels[box] = 100.0
        mask = np.zeros(voxels.shape, np.uint8)
        mask[box] = 1
        save(tmp_path / "Images" / f"{index}.nii.gz", voxels)
        if one_slice:
            np.save(tmp_path / "Masks" / f"{index}.npy", mask.max(0))
        else:
            save(tmp_path / "Masks" / f"{index}.nii.gz", mask)
        rows.append((f"{index}", f"{voxels.mean() / 100:.6f}"))
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    report = fastcam.evaluate(
        Bright().eval(),
        tmp_path / "Images",
        tmp_path / "t.csv",
        tmp_path / "out",
        target="level",
        layers=["features"],
        image_size=(8, 12, 16),
        mean=(0.0,),
        std=(1.0,),
    )
    # An array doesn't say where it lies, its volume does.
    assert [f.level for f in report.failures] == (["warning"] * 3 if one_slice else [])
    assert all("every slice" in f.reason for f in report.failures)
    found = json.loads((tmp_path / "out" / "test_metrics.json").read_text())
    assert found["metrics"]["mae"]["value"] == pytest.approx(0.0, abs=1e-4)
    where = found["localization"]
    assert (where["n"], where["measured"], where["all"]["hits"]) == (3, 3, 3)
    boxes = [2 * 4 * 2, 4 * 4 * 4, 4 * 4 * 8]
    areas = [
        size / (8 * 12 * 16) * (8 / depth if one_slice else 1)
        for size, depth in zip(boxes, (2, 4, 4), strict=True)
    ]
    assert where["all"]["area"]["mean"] == pytest.approx(np.mean(areas))
    assert where["all"]["share"]["mean"] > 0.4
    assert (tmp_path / "out" / "gradcam_best_sample.png").is_file()


def test_a_mask_on_another_grid_is_measured_alike(tmp_path: Path) -> None:
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    voxels = np.random.default_rng(1).integers(0, 100, (16, 12, 8)).astype(np.float32)
    mask = (voxels > 60).astype(np.uint8)
    mask[:9] = 0
    names = save_masks(tmp_path / "Masks", mask, affine)
    (tmp_path / "Images").mkdir()
    rows = [("file", "level")]
    for number, name in enumerate(names):
        save_turned(tmp_path / "Images" / f"{name}.nii.gz", voxels, affine, "RAS")
        rows.append((name, f"{number / 10}"))
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    report = fastcam.evaluate(
        Bright().eval(),
        tmp_path / "Images",
        tmp_path / "t.csv",
        tmp_path / "out",
        target="level",
        layers=["features"],
        image_size=(8, 12, 16),
        mean=(0.0,),
        std=(1.0,),
    )
    found = {case.id: case.localization for case in report.evaluation.cases}
    assert found["same"] is not None
    assert found["same"].area == pytest.approx(mask.mean())
    assert found["flipped"] == found["permuted"] == found["halves"] == found["same"]
    assert found["away"] is not None
    assert found["away"].area is None
    told = {(failure.level, failure.case): failure.reason for failure in report.failures}
    assert told.keys() == {("warning", "halves"), ("warning", "away")}
    assert "nearest voxel" in told["warning", "halves"]
    assert "the image x -1.0 to 31.0" in told["warning", "away"]
    assert report.exit_code == 0
    with (tmp_path / "out" / "failures.csv").open(newline="") as file:
        assert [row["case"] for row in csv.DictReader(file)].count("halves") == 1
