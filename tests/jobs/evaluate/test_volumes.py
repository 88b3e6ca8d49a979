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
        save(
            tmp_path / "Masks" / f"{index}.nii.gz",
            mask.max(0, keepdims=True) if one_slice else mask,
        )
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
    assert not report.failures
    found = json.loads((tmp_path / "out" / "test_metrics.json").read_text())
    assert found["metrics"]["mae"]["value"] == pytest.approx(0.0, abs=1e-4)
    where = found["localisation"]
    assert (where["n"], where["measured"], where["all"]["hits"]) == (3, 3, 3)
    boxes = [2 * 4 * 2, 4 * 4 * 4, 4 * 4 * 8]
    areas = [
        size / (8 * 12 * 16) * (8 / depth if one_slice else 1)
        for size, depth in zip(boxes, (2, 4, 4), strict=True)
    ]
    assert where["all"]["area"]["mean"] == pytest.approx(np.mean(areas))
    assert where["all"]["share"]["mean"] > 0.4
    assert (tmp_path / "out" / "gradcam_best_sample.png").is_file()
