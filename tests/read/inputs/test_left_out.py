"""What a folder of images and volumes leaves out, and which plane the slices are that are run."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from fastcam.read.inputs.folders import left_out
from fastcam.read.inputs.inputs import find_inputs
from fastcam.read.inputs.slicing import Slicing, plan_slices, plane_remark


def save(path: Path, shape: tuple[int, ...], codes: str = "RAS") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(".png"):
        Image.fromarray(np.zeros(shape, np.uint8)).save(path)
        return
    affine = np.eye(4)
    for axis, code in enumerate(codes):
        place = ("RL", "AP", "SI")
        along = next(n for n, ends in enumerate(place) if code in ends)
        affine[:3, axis] = 0
        affine[along, axis] = 1 if code in "RAS" else -1
    nibabel.Nifti1Image(np.zeros(shape, np.uint8), affine).to_filename(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "a_mask.png", "deep/c.png"):
        save(tmp_path / name, (8, 8))
    for name in ("v.nii.gz", "deep/w.nii"):
        save(tmp_path / name, (8, 8, 4))
    save(tmp_path / "one_slice.nii", (8, 8, 1))
    return tmp_path


def test_volumes_beside_images(folder: Path) -> None:
    line = left_out([folder], 2)
    assert line.startswith(f"2 volumes are left out, such as {folder}/deep/w.nii: ")
    assert len(find_inputs([folder])) == 5


def test_images_beside_volumes(folder: Path) -> None:
    line = left_out([folder], 3)
    assert line.startswith(f"3 images are left out, such as {folder}/a.png: ")
    assert len(find_inputs([folder], dims=3)) == 3


def test_one_kind_is_no_remark(tmp_path: Path) -> None:
    save(tmp_path / "images/a.png", (8, 8))
    save(tmp_path / "volumes/v.nii", (8, 8, 4))
    for name, dims in (("images", 2), ("volumes", 2), ("volumes", 3), ("images", 3)):
        assert left_out([tmp_path / name], dims) == ""
    # Folders of pictures are volumes, or images: never left out.
    save(tmp_path / "volumes/case/1.png", (8, 8))
    assert left_out([tmp_path / "volumes"], 3) == ""
    assert left_out([tmp_path / "volumes/v.nii"], 2) == ""


@pytest.mark.parametrize(
    ("codes", "plane"),
    [("RAS", ""), ("LPI", ""), ("ASR", "sagittal"), ("RSA", "coronal"), ("SAL", "sagittal")],
)
def test_the_plane_of_the_own_slices(tmp_path: Path, codes: str, plane: str) -> None:
    save(tmp_path / "v.nii", (8, 9, 10), codes)
    items = find_inputs([tmp_path], dims=3)
    line = plane_remark(items, plan_slices(items, Slicing()))
    assert line == (plane and f"the files' own slices are {plane} of 1 volume, such as "
                    f"{tmp_path}/v.nii; --axis axial runs axial ones")  # fmt: skip
    assert plane_remark(items, plan_slices(items, Slicing(axis="coronal"))) == ""
