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
from tests.stored_volumes import write_series


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


def test_a_series_beside_its_localizer(tmp_path: Path) -> None:
    """One image of another direction makes of the rest nothing that a 2-D model would be given."""
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    write_series(tmp_path / "case", np.zeros((4, 8, 8), np.int16), affine)
    assert left_out([tmp_path], 2) == ""
    turned = affine[:, [1, 2, 0, 3]]
    write_series(tmp_path / "other", np.zeros((1, 8, 8), np.int16), turned)
    (tmp_path / "other" / "001.dcm").rename(tmp_path / "case" / "localizer.dcm")
    (tmp_path / "case" / "notes.txt").write_text("nothing")
    line = left_out([tmp_path], 2)
    assert line.startswith(
        f"4 slices of volumes are left out, such as {tmp_path}/case/001.dcm: the folder also holds"
    )
    assert [item.source.name for item in find_inputs([tmp_path])] == ["localizer.dcm"]


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
