"""Segmentations of volumes that a 2-D model sees slice by slice, against MONAI's metrics."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import fastcam
from fastcam.errors import InputError

from .test_segmentation_job import OPTIONS, PLAIN, SIDE, Levels

# Voxels along x, y, z, and their sizes.
_SHAPE, _SIZES = (SIDE, SIDE, 10), (0.5, 2.0, 3.0)


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    random = np.random.default_rng(2)
    for folder in ("Images", "Masks"):
        (tmp_path / folder).mkdir()
        for name in ("a", "b"):
            blobs = gaussian_filter(random.normal(size=_SHAPE), 2) > 0.02
            dtype = np.float32 if folder == "Images" else np.int16
            image = nibabel.Nifti1Image(blobs.astype(dtype), np.diag([*_SIZES, 1.0]))
            nibabel.save(image, tmp_path / folder / f"{name}.nii.gz")
    return tmp_path


def _voxels(volumes: Path, folder: str, name: str) -> NDArray[Any]:
    """As (z, y, x)."""
    image: Any = nibabel.load(volumes / folder / f"{name}.nii.gz")
    return np.asarray(image.dataobj, np.float32).transpose(2, 1, 0)


def _evaluate(volumes: Path, output: Path, **options: Any) -> Any:
    return fastcam.evaluate(
        Levels(2, 3, 2), volumes / "Images", None, output, **{**OPTIONS, **PLAIN, **options}
    )


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({}, np.s_[:]),
        ({"slices": "2-7"}, np.s_[2:8]),
        ({"slices": "middle:4"}, np.s_[3:7]),
        ({"axis": "sagittal"}, np.s_[:]),
    ],
)
def test_slices_are_put_together_again(volumes, tmp_path, options, part):
    """Bright voxels are class 1: the model finds the blobs of the image, the mask has others."""
    sagittal = "axis" in options
    # Slices along x are of z by y, and enlarged from 10 to the model's 24 rows.
    image_size = (_SHAPE[2], SIDE) if sagittal else (SIDE, SIDE)
    report = _evaluate(volumes, tmp_path / "out", image_size=image_size, **options)
    assert report.exit_code == 0
    rows = {row["id"]: row for row in csv.DictReader((tmp_path / "out/predictions.csv").open())}
    axes, spacing = (0, 1, 2), list(_SIZES[::-1])
    if sagittal:
        axes, spacing = (2, 0, 1), [_SIZES[0], _SIZES[2], _SIZES[1]]
    for name in ("a", "b"):
        predicted, true = (
            torch.from_numpy(_voxels(volumes, folder, name).transpose(axes)[part].copy())[
                None, None
            ]
            for folder in ("Images", "Masks")
        )
        dice = compute_dice(predicted, true, include_background=True)
        distance = compute_hausdorff_distance(
            predicted, true, include_background=True, percentile=95, spacing=spacing
        )
        assert float(rows[name]["class 1_dice"]) == pytest.approx(float(dice), abs=1e-6)
        assert float(rows[name]["class 1_hausdorff95"]) == pytest.approx(float(distance), abs=1e-4)
        assert int(rows[name]["class 1_true_pixels"]) == int(true.sum())
        inside = float(rows[name]["class 1_share_inside_mask"])
        assert inside == pytest.approx(float((predicted * true).sum() / predicted.sum()), abs=1e-6)
    assert (tmp_path / "out" / "hirescam_best_sample.png").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"slices": "1,5-7"}, "slices 1,5-7: distances in a volume need slices that follow"),
        ({"pool": "max"}, "pool is for one answer a slice"),
    ],
)
def test_wrong_options(volumes, tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        _evaluate(volumes, tmp_path / "out", **options)
