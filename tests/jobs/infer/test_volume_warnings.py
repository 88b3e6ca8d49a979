"""What is odd about a volume or its mask is said by infer, and by render, once a case."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fastcam


class Small(nn.Module):
    """Two classes of a volume."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Conv3d(1, 2, 2, stride=2)
        self.head = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.features(x).mean((2, 3, 4)))
        return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Volumes a and b, of which b has a qform 5 mm beside its sform; b's mask lies turned."""
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for name in "ab":
        image = nib.Nifti1Image(rng.integers(0, 99, (16, 12, 8)).astype(np.int16), np.eye(4))
        beside = np.eye(4)
        beside[0, 3] = 5 if name == "b" else 0
        image.set_qform(beside, 1)
        nib.save(image, tmp_path / "images" / f"{name}.nii.gz")
        turn = np.diag([0.5, 1.0, 1.0, 1.0]) if name == "b" else np.eye(4)
        mask = nib.Nifti1Image(np.ones((16, 12, 8), np.uint8), turn)
        nib.save(mask, tmp_path / "masks" / f"{name}.nii.gz")
    return tmp_path


def warnings(folder: Path) -> list[tuple[str, str]]:
    """(case, reason) of the warnings in an output folder."""
    with (folder / "failures.csv").open(newline="") as file:
        return [(row["case"], row["reason"]) for row in csv.DictReader(file)]


def test_once_a_case_and_also_of_a_run_that_goes_on(folder: Path) -> None:
    out = folder / "out"
    for overwrite in (False, False, True):
        report = fastcam.infer(
            Small(),
            folder / "images",
            out,
            mask_dir=folder / "masks",
            method="gradcam",
            layers=["features"],
            image_size=(8, 12, 16),
            mean=(0.0,),
            std=(1.0,),
            overwrite=overwrite,
        )
        assert (report.exit_code, report.failed) == (0, 0)
        ((case, reason),) = warnings(out)
        assert case == "b"
        assert "up to 5 mm apart" in reason
        assert [failure.level for failure in report.failures] == ["warning"]
    drawn = fastcam.render(
        out / "run.zarr", output_dir=folder / "fig", mode="all_slices", workers=1, panel_size=32
    )
    assert drawn.exit_code == 0
    told = warnings(folder / "fig")
    assert [case for case, _ in told] == ["b", "b"]
    assert "up to 5 mm apart" in " ".join(reason for _, reason in told)
    assert "nearest voxel" in " ".join(reason for _, reason in told)
