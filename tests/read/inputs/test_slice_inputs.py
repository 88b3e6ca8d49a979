"""What inputs of a 2-D model are: images, or volumes that it sees slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from fastcam.errors import InputError
from fastcam.read.inputs.inputs import Item, find_inputs
from fastcam.read.inputs.slice_inputs import choose_slicing, holds_volumes
from tests.stored_volumes import write_series

Find = Callable[[int], Sequence[Item]]


def save(path: Path, shape: tuple[int, ...]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(np.zeros(shape, np.uint8)).save(path)
    else:
        nibabel.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4)).to_filename(path)
    return path


def found(*sources: Path) -> Find:
    return lambda dims: find_inputs(sources, dims=dims)


def test_one_slice_beside_volumes_is_a_volume(tmp_path: Path) -> None:
    one = save(tmp_path / "one.nii.gz", (8, 6, 1))
    assert not holds_volumes(found(tmp_path))
    many = save(tmp_path / "deep" / "many.nii.gz", (8, 6, 4))
    assert holds_volumes(found(tmp_path))
    assert holds_volumes(found(many, one))
    assert not holds_volumes(found(one))


def test_one_slice_beside_a_series_is_a_volume(tmp_path: Path) -> None:
    save(tmp_path / "one.nii.gz", (8, 6, 1))
    write_series(tmp_path / "series", np.zeros((4, 8, 8), np.int16), np.diag([-1.0, -1.0, 2.0, 1]))
    assert holds_volumes(found(tmp_path))


def test_a_series_of_one_file_beside_others_is_a_volume(tmp_path: Path) -> None:
    affine = np.diag([-1.0, -1.0, 2.0, 1])
    write_series(tmp_path / "one", np.zeros((1, 8, 8), np.int16), affine)
    assert not holds_volumes(found(tmp_path))
    write_series(tmp_path / "many", np.zeros((4, 8, 8), np.int16), affine)
    assert holds_volumes(found(tmp_path))
    # An image of no place in space is a radiograph.
    file = tmp_path / "one" / "001.dcm"
    header = dcmread(file)
    del header.ImagePositionPatient
    header.save_as(file)
    assert not holds_volumes(found(tmp_path))


def test_a_localizer_in_the_folder_of_its_series_is_an_image(tmp_path: Path) -> None:
    affine = np.diag([-1.0, -1.0, 2.0, 1])
    for name in ("case", "other"):
        write_series(tmp_path / name, np.zeros((4, 8, 8), np.int16), affine)
    turned = affine[:, [1, 2, 0, 3]]
    write_series(tmp_path / "turned", np.zeros((1, 8, 8), np.int16), turned)
    (tmp_path / "turned" / "001.dcm").rename(tmp_path / "case" / "localizer.dcm")
    (tmp_path / "turned").rmdir()
    assert not holds_volumes(found(tmp_path))


def test_pictures_beside_volumes_are_images(tmp_path: Path) -> None:
    save(tmp_path / "one.nii.gz", (8, 6, 1))
    save(tmp_path / "many.nii.gz", (8, 6, 4))
    save(tmp_path / "picture.png", (8, 6))
    assert not holds_volumes(found(tmp_path))


def test_what_may_be_no_volume_makes_none_of_images(tmp_path: Path) -> None:
    """A damaged file, an array of anything, a mask, several channels of one slice."""
    save(tmp_path / "one.nii.gz", (8, 6, 1))
    (tmp_path / "damaged.nii").write_bytes(b"nothing")
    np.save(tmp_path / "features.npy", np.zeros((4, 4, 4)))
    save(tmp_path / "one_mask.nii.gz", (8, 6, 4))
    save(tmp_path / "color.nii.gz", (8, 6, 1, 3))
    assert not holds_volumes(found(tmp_path))


def test_an_image_along_another_axis_is_refused(tmp_path: Path) -> None:
    flat = save(tmp_path / "flat.nii.gz", (8, 1, 6))
    assert not holds_volumes(found(tmp_path))
    many = save(tmp_path / "many.nii.gz", (8, 6, 4))
    with pytest.raises(InputError, match=rf"{flat.name} is an image.*{many.name}.*give --axis"):
        holds_volumes(found(tmp_path))
    assert choose_slicing(found(tmp_path), 2, axis="coronal") is not None
