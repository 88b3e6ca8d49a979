from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from fastcam.errors import CaseError
from fastcam.read.volumes.masks import open_mask

SHAPE = (3, 4, 5)


def _npy(tmp_path: Path, array: np.ndarray) -> Path:
    np.save(tmp_path / "m.npy", array)
    return tmp_path / "m.npy"


@pytest.mark.parametrize(
    ("values", "dtype", "inside"),
    [
        ([0, 1, 2, 7], np.uint8, [0, 1, 1, 1]),
        ([0, 0, 1, 1], bool, [0, 0, 1, 1]),
        ([0, 20, 127, 127], np.uint8, [0, 1, 1, 1]),  # a label map of many labels
        ([0, 127, 128, 255], np.uint8, [0, 0, 1, 1]),  # 0 and 255 with noise
        ([0, 1, 200, 65535], np.uint16, [0, 1, 1, 1]),
        ([0, -1, 1, 300], np.int16, [0, 1, 1, 1]),
        ([0, 0.25, 1, np.nan], np.float32, [0, 1, 1, 0]),
        ([0, 0, 0, 0], np.uint8, [0, 0, 0, 0]),
    ],
)
def test_what_counts_as_inside(
    tmp_path: Path, values: list[float], dtype: type, inside: list[int]
) -> None:
    array = np.zeros(SHAPE, dtype)
    array[1, 2, :4] = values
    mask = open_mask(_npy(tmp_path, array), SHAPE)
    assert mask.inside.shape == SHAPE
    assert mask.slice(1)[2, :4].tolist() == inside
    assert mask.slice(1).dtype == np.uint8
    assert int(mask.inside.sum()) == sum(inside)


def test_one_picture_serves_all_slices(tmp_path: Path) -> None:
    picture = np.zeros((40, 50), np.uint8)
    picture[10:30, 20:40] = 255
    for suffix in (".png", ".jpg", ".bmp"):
        Image.fromarray(picture).save(tmp_path / f"m{suffix}")
        mask = open_mask(tmp_path / f"m{suffix}", (9, 40, 50))
        assert len(mask.inside) == 1
        for index in (0, 8):
            assert np.array_equal(mask.slice(index), picture // 255)


def test_axes_turn_arrays(tmp_path: Path) -> None:
    array = np.zeros((5, 4, 3), np.uint8)
    array[4, 1, 2] = 1
    mask = open_mask(_npy(tmp_path, array), SHAPE, "xyz")
    assert mask.slice(2)[1, 4] == 1


def test_scaled_nifti_masks(tmp_path: Path) -> None:
    stored = np.full((5, 4, 3), -2, np.int16)
    stored[0, 0, 0] = 8
    image = nib.Nifti1Image(stored, np.eye(4))
    image.header.set_slope_inter(0.1, 0.2)  # -2 means 0.0
    nib.save(image, tmp_path / "m.nii")
    assert int(open_mask(tmp_path / "m.nii", SHAPE).inside.sum()) == 1


@pytest.mark.parametrize("shape", [(2, 4, 5), (3, 5, 4), (1, 5, 4), (4, 5, 3)])
def test_another_shape_says_both(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = _npy(tmp_path, np.zeros(shape, np.uint8))
    with pytest.raises(CaseError) as caught:
        open_mask(path, SHAPE)
    assert str(path) in str(caught.value)
    assert str(shape) in str(caught.value)
    assert str(SHAPE) in str(caught.value)
