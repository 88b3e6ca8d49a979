"""Which files of a folder are images, and which are volumes or channels."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from fastcam.errors import InputError
from fastcam.read.inputs.flat_files import is_flat
from fastcam.read.inputs.inputs import find_inputs

from ..volumes.dicom_files import SAGITTAL, classic, dataset, enhanced

PIXELS = np.arange(24, dtype=np.uint8).reshape(4, 6)


def save(path: Path, shape: tuple[int, ...]) -> Path:
    nibabel.Nifti1Image(np.zeros(shape, np.int16), np.eye(4)).to_filename(path)
    return path


def ids(*sources: Path, dims: int = 2, channels: int = 1, pattern: str | None = None) -> list[str]:
    items = find_inputs(list(sources), pattern, dims=dims, channels=channels)
    return [item.id for item in items]


def test_dicom_and_nifti_of_one_slice_are_images(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    for number, name in enumerate(("b.dcm", "c.IMA", "d", "e.1.2.840")):
        dataset(PIXELS, SeriesInstanceUID=f"1.2.{number}").save_as(tmp_path / name)
    save(tmp_path / "f.nii.gz", (4, 6))
    save(tmp_path / "g.nii", (4, 6, 1))
    save(tmp_path / "volume.nii.gz", (4, 6, 2))
    enhanced(tmp_path / "frames.dcm", np.zeros((2, 4, 4), np.int16), [0, 1])
    (tmp_path / "README").write_text("text")
    (tmp_path / "notes.txt").write_text("text")
    report = dataset(PIXELS)
    del report.Rows
    report.save_as(tmp_path / "report.dcm")
    assert ids(tmp_path) == ["a", "b", "c", "d", "e.1.2.840", "f", "g"]
    assert is_flat(tmp_path / "d")
    assert not is_flat(tmp_path / "frames.dcm")
    assert not is_flat(tmp_path / "volume.nii.gz")
    assert not is_flat(tmp_path)


def test_a_broken_dicom_file_is_kept_to_be_complained_of(tmp_path: Path) -> None:
    (tmp_path / "x.dcm").write_text("text")
    assert ids(tmp_path) == ["x"]


def test_slices_behind_each_other_are_a_volume(tmp_path: Path) -> None:
    classic(tmp_path / "ct", np.zeros((3, 4, 4), np.int16), [0, 2, 4])
    with pytest.raises(InputError, match=r"holds no images.*but 1 volume:"):
        find_inputs([tmp_path])
    # One by one they are images; so is a localizer, whose planes cross.
    assert ids(tmp_path, pattern="ct/*.dcm") == ["000", "001", "002"]
    classic(tmp_path / "scout", np.zeros((1, 4, 4), np.int16), [0])
    classic(tmp_path / "scout", np.zeros((1, 4, 4), np.int16), [0], plane=SAGITTAL, first=1)
    assert ids(tmp_path / "scout") == ["000", "001"]
    # Images of one series without places in space, as of mammography.
    for number in range(2):
        dataset(PIXELS).save_as(tmp_path / f"mg{number}.dcm")
    assert ids(tmp_path) == ["mg0", "mg1", "000", "001"]


def test_lists_and_tables_name_them(tmp_path: Path) -> None:
    dataset(PIXELS).save_as(tmp_path / "a")
    save(tmp_path / "b.nii.gz", (4, 6))
    (tmp_path / "list.txt").write_text("a\nb.nii.gz\n")
    assert ids(tmp_path / "list.txt") == ["a", "b"]
    (tmp_path / "table.csv").write_text("image,label\nb.nii.gz,1\na,0\n")
    assert ids(tmp_path / "table.csv") == ["b", "a"]


def channels(folder: Path, cases: tuple[str, ...], count: int) -> None:
    folder.mkdir(exist_ok=True)
    for case in cases:
        for number in range(count):
            save(folder / f"{case}_{number:04d}.nii.gz", (3, 3, 3))


def test_channels_of_a_case_are_one_item(tmp_path: Path) -> None:
    channels(tmp_path / "train", ("a", "b"), 2)
    channels(tmp_path / "test", ("a",), 2)
    masks = tmp_path / "labels"
    masks.mkdir()
    save(masks / "b.nii.gz", (3, 3, 3))
    items = find_inputs([tmp_path / "train"], mask_dir=masks, dims=3, channels=2)
    assert [item.id for item in items] == ["a", "b"]
    assert [item.source.name for item in items] == ["a_0000.nii.gz", "b_0000.nii.gz"]
    assert items[1].mask == masks / "b.nii.gz"
    assert sorted(ids(tmp_path / "train", tmp_path / "test", dims=3, channels=2)) == [
        "b",
        "test/a_0000",
        "train/a_0000",
    ]
    (tmp_path / "list.txt").write_text("train/b_0000.nii.gz\n")
    assert ids(tmp_path / "list.txt", dims=3, channels=2) == ["b"]


def test_channels_are_not_taken_for_cases(tmp_path: Path) -> None:
    channels(tmp_path / "c", ("a", "b"), 2)
    with pytest.raises(InputError, match=r"look like 2 channels of 2 cases.*for 4 cases: give"):
        find_inputs([tmp_path / "c"], dims=3)
    assert ids(tmp_path / "c", dims=3, pattern="*_0000.nii.gz") == ["a_0000", "b_0000"]
    assert len(ids(tmp_path / "c", dims=3, pattern="*.nii.gz")) == 4
    # Numbers alone are no channels.
    channels(tmp_path / "n", ("scan",), 3)
    assert ids(tmp_path / "n", dims=3) == ["scan_0000", "scan_0001", "scan_0002"]
