"""A window that has a name is one of CT: whoever asks for it elsewhere hears so, whatever runs."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from torch import nn

import fastcam
from tests.read.volumes.dicom_files import MR_IMAGE, dataset

BRAIN, OWN = (40.0, 80.0), (40.0, 81.0)


def save_volume(folder: Path, modality: str) -> Path:
    """A NIfTI file of four slices, with the JSON file that converters write beside it."""
    voxels = np.random.default_rng(0).integers(0, 99, (16, 16, 4)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), folder / "a.nii.gz")
    (folder / "a.json").write_text(json.dumps({"Modality": modality}))
    return folder / "a.nii.gz"


def save_slice(folder: Path, modality: str) -> Path:
    """A NIfTI file of one slice."""
    path = save_volume(folder, modality)
    whole = np.asarray(nibabel.load(path).dataobj)  # type: ignore[attr-defined]
    nibabel.save(nibabel.Nifti1Image(whole[:, :, :1].copy(), np.eye(4)), path)
    return path


def save_dicom(folder: Path, modality: str) -> Path:
    """A DICOM file of one image."""
    pixels = np.random.default_rng(0).integers(0, 99, (16, 16)).astype(np.uint16)
    storage = {"storage": MR_IMAGE} if modality == "MR" else {}
    dataset(pixels, **storage).save_as(folder / "a.dcm", enforce_file_format=True)
    return folder / "a.dcm"


def model(dims: int) -> nn.Module:
    torch.manual_seed(0)
    convolution, pool = (nn.Conv2d, nn.AdaptiveAvgPool2d) if dims == 2 else (
        nn.Conv3d, nn.AdaptiveAvgPool3d
    )  # fmt: skip
    return nn.Sequential(convolution(1, 3, 3, padding=1), pool(1), nn.Flatten(), nn.Linear(3, 2))


def options(dims: int) -> dict:
    return {
        "method": "gradcam", "layers": ["0"], "mean": (0.0,), "std": (1.0,),
        "image_size": (16,) * dims if dims == 2 else (4, 16, 16),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("save", "dims", "more"),
    [
        (save_volume, 2, {"slices": "all"}),
        (save_volume, 3, {}),
        (save_slice, 2, {}),
        (save_dicom, 2, {}),
    ],
)
@pytest.mark.parametrize(
    ("modality", "window", "told"), [("MR", BRAIN, True), ("MR", OWN, False), ("CT", BRAIN, False)]
)
def test_infer_and_explain_say_it_once(
    tmp_path: Path, save, dims: int, more: dict, modality: str, window, told: bool
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    path = save(images, modality)
    report = fastcam.infer(
        model(dims), images, tmp_path / "out", window_level=window, **options(dims), **more
    )
    said = [failure.reason for failure in report.failures if "HU" in failure.reason]
    assert (report.exit_code, report.failed) == (0, 0)
    expected = (
        f"{path}: the window brain is in HU, but this is {modality}; give --window-level C,W in "
        "the file's own values, or leave it out"
    )
    assert said == [expected] * told
