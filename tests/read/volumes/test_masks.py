from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from PIL import Image

from fastcam.errors import CaseError
from fastcam.read.volumes.geometry import Grid
from fastcam.read.volumes.masks import open_label_map, open_mask
from fastcam.read.volumes.volumes import open_volume, volume_grid

from ...stored_volumes import CODES, right_handed, save_masks, save_turned, turned, write_series

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
    mask = open_mask(_npy(tmp_path, array), Grid(SHAPE))
    assert mask.inside.shape == SHAPE
    assert mask.slice(1)[2, :4].tolist() == inside
    assert mask.slice(1).dtype == np.uint8
    assert int(mask.inside.sum()) == sum(inside)


@pytest.mark.parametrize(
    ("values", "dtype", "classes", "labels"),
    [
        ([0, 1, 2, 3], np.uint8, 4, [0, 1, 2, 3]),
        ([0, 1, 1, 0], bool, 2, [0, 1, 1, 0]),
        ([0, 20, 128, 255], np.uint8, 2, [0, 0, 1, 1]),  # black and white with noise
        ([0, 1, 1, 0], np.float32, 2, [0, 1, 1, 0]),
        ([0, 200, 3, 255], np.uint8, 256, [0, 200, 3, 255]),
    ],
)
def test_a_label_map_has_the_class_of_each_voxel(
    tmp_path: Path, values: list[float], dtype: type, classes: int, labels: list[int]
) -> None:
    array = np.zeros(SHAPE, dtype)
    array[1, 2, :4] = values
    found = open_label_map(_npy(tmp_path, array), Grid(SHAPE), classes)
    assert found.labels.dtype == np.int32
    assert found.labels[1, 2, :4].tolist() == labels
    assert int(found.labels.sum()) == sum(labels)


@pytest.mark.parametrize(
    ("value", "dtype", "words"),
    [
        (3, np.uint8, "has the value 3, and the model has 3 classes, 0 to 2"),
        (255, np.uint8, "has the value 255"),
        (-1, np.int16, "has the value -1"),
        (0.5, np.float32, "has the value 0.5"),
        (np.nan, np.float32, "has the value nan"),
    ],
)
def test_no_class_is_named(tmp_path: Path, value: float, dtype: type, words: str) -> None:
    array = np.zeros(SHAPE, dtype)
    array[0, 0, 0] = value
    with pytest.raises(CaseError, match=words):
        open_label_map(_npy(tmp_path, array), Grid(SHAPE), 3)


def test_labels_of_a_turned_map_lie_where_the_image_has_them(tmp_path: Path) -> None:
    labels = np.zeros(SHAPE, np.int16)
    labels[0, 1, 2], labels[2, 3, 4] = 1, 2
    image = nib.Nifti1Image(np.zeros(SHAPE[::-1], np.float32), np.diag([2.0, 3.0, 4.0, 1.0]))
    nib.save(image, tmp_path / "image.nii.gz")
    affine = np.diag([-2.0, 3.0, 4.0, 1.0])
    affine[0, 3] = 2.0 * (SHAPE[2] - 1)
    mirrored = nib.Nifti1Image(labels.transpose()[::-1], affine)
    nib.save(mirrored, tmp_path / "labels.nii.gz")
    grid = volume_grid(tmp_path / "image.nii.gz", "zyx")
    found = open_label_map(tmp_path / "labels.nii.gz", grid, 3)
    np.testing.assert_array_equal(found.labels, labels)
    assert found.warnings == ()


def test_one_picture_serves_all_slices(tmp_path: Path) -> None:
    picture = np.zeros((40, 50), np.uint8)
    picture[10:30, 20:40] = 255
    for suffix in (".png", ".jpg", ".bmp"):
        Image.fromarray(picture).save(tmp_path / f"m{suffix}")
        mask = open_mask(tmp_path / f"m{suffix}", Grid((9, 40, 50)))
        assert len(mask.inside) == 1
        for index in (0, 8):
            assert np.array_equal(mask.slice(index), picture // 255)


def test_axes_turn_arrays(tmp_path: Path) -> None:
    array = np.zeros((5, 4, 3), np.uint8)
    array[4, 1, 2] = 1
    mask = open_mask(_npy(tmp_path, array), Grid(SHAPE), "xyz")
    assert mask.slice(2)[1, 4] == 1


def test_scaled_nifti_masks(tmp_path: Path) -> None:
    stored = np.full((5, 4, 3), -2, np.int16)
    stored[0, 0, 0] = 8
    image = nib.Nifti1Image(stored, np.eye(4))
    image.header.set_slope_inter(0.1, 0.2)  # -2 means 0.0
    nib.save(image, tmp_path / "m.nii")
    assert int(open_mask(tmp_path / "m.nii", Grid(SHAPE)).inside.sum()) == 1


@pytest.mark.parametrize("shape", [(2, 4, 5), (3, 5, 4), (1, 5, 4), (4, 5, 3)])
def test_another_shape_says_both(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = _npy(tmp_path, np.zeros(shape, np.uint8))
    with pytest.raises(CaseError) as caught:
        open_mask(path, Grid(SHAPE))
    assert str(path) in str(caught.value)
    assert str(shape) in str(caught.value)
    assert str(SHAPE) in str(caught.value)


# Where both say where they lie, the place decides.

AFFINE = np.array([[0.8, 0, 0, -20.0], [0, 0.9, 0, 7.0], [0, 0, 2.5, 40.0], [0, 0, 0, 1.0]])


def _marked(shape=(7, 6, 5)) -> np.ndarray:
    """(x, y, z) of 0 and 1, alike in no direction."""
    mask = np.zeros(shape, np.uint8)
    mask[:2, :3, 1:] = mask[4, 5, 4] = 1
    return mask


def _grid(affine: np.ndarray = AFFINE, shape=(5, 6, 7), uneven: str = "") -> Grid:
    return Grid(shape, affine, uneven)


@pytest.mark.parametrize("image_codes", ["RAS", "LPS", "AIL"])
def test_the_place_of_a_voxel_decides(tmp_path: Path, image_codes: str) -> None:
    """Beside SimpleITK's resampling of the same files."""
    image, array = tmp_path / "image.nii.gz", _marked()
    save_turned(image, np.zeros_like(array), AFFINE, image_codes)
    names = save_masks(tmp_path / "masks", array, AFFINE)
    grid, expected = volume_grid(image), turned(array, AFFINE, image_codes).get_fdata().T
    for name in names[:-1]:
        path = tmp_path / "masks" / f"{name}.nii.gz"
        mask = open_mask(path, grid)
        nearest = SimpleITK.Resample(
            SimpleITK.ReadImage(str(path)),
            SimpleITK.ReadImage(str(image)),
            SimpleITK.Transform(),
            SimpleITK.sitkNearestNeighbor,
            0,
        )
        assert np.array_equal(mask.inside, SimpleITK.GetArrayFromImage(nearest) > 0)
        assert np.array_equal(mask.inside, expected > 0)
        if name == "halves":
            (warning,) = mask.warnings
            assert str(path) in warning
            assert "nearest voxel" in warning
        else:
            assert mask.warnings == ()
    with pytest.raises(CaseError, match=r"away.*elsewhere.*covers x 4.*but the image x -.*mm"):
        open_mask(tmp_path / "masks" / "away.nii.gz", grid)


@pytest.mark.parametrize("codes", CODES)
def test_masks_of_other_formats_lie_where_they_say(tmp_path: Path, codes: str) -> None:
    array = _marked()
    stored = turned(array, AFFINE, codes)
    nib.save(stored, tmp_path / "m.nii")
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(tmp_path / "m.nii")), str(tmp_path / "m.nrrd"))
    found = open_mask(tmp_path / "m.nrrd", _grid())
    assert np.array_equal(found.inside, array.T > 0)
    assert found.warnings == ()
    if right_handed(stored.affine):
        write_series(tmp_path / "m", np.asarray(stored.dataobj).T, stored.affine)
        found = open_mask(tmp_path / "m", _grid())
        assert np.array_equal(found.inside, array.T > 0)
        assert found.warnings == ()


def test_one_side_without_a_place_is_taken_as_it_lies(tmp_path: Path) -> None:
    array = _marked()
    np.save(tmp_path / "m.npy", array.T)
    mask = open_mask(tmp_path / "m.npy", _grid())
    assert np.array_equal(mask.inside, array.T > 0)
    (warning,) = mask.warnings
    assert "m.npy" in warning
    assert "no affine" in warning
    assert "voxel on voxel" in warning
    assert open_mask(tmp_path / "m.npy", Grid((5, 6, 7))).warnings == ()
    save_turned(tmp_path / "m.nii", array, AFFINE, "RAS")
    (warning,) = open_mask(tmp_path / "m.nii", Grid((5, 6, 7))).warnings
    assert "its image has no affine" in warning
    save_turned(tmp_path / "t.nii", array, AFFINE, "ASR")
    with pytest.raises(CaseError, match=r"shape .* but the image"):
        open_mask(tmp_path / "t.nii", Grid((5, 6, 7)))


def test_a_nifti_file_that_says_nothing_of_its_place(tmp_path: Path) -> None:
    """Both codes 0: what nibabel calls its affine is a guess, and no place."""
    array = _marked()
    nib.save(nib.Nifti1Image(array, None), tmp_path / "m.nii")
    mask = open_mask(tmp_path / "m.nii", _grid())
    assert np.array_equal(mask.inside, array.T > 0)
    assert "no affine" in mask.warnings[0]
    image = volume_grid(tmp_path / "m.nii")
    assert open_mask(tmp_path / "m.nii", image).warnings == ()
    affine = open_volume(tmp_path / "m.nii").affine
    assert affine is not None
    assert np.array_equal(affine, nib.Nifti1Image.from_filename(tmp_path / "m.nii").affine)


def test_an_affine_without_three_directions_is_no_place(tmp_path: Path) -> None:
    array, flat = _marked(), AFFINE.copy()
    flat[:, 1] = 0
    save_turned(tmp_path / "m.nii", array, AFFINE, "RAS")
    mask = open_mask(tmp_path / "m.nii", _grid(flat))
    assert np.array_equal(mask.inside, array.T > 0)
    assert "without three directions" in mask.warnings[0]


def test_one_slice_with_a_place_marks_that_slice_only(tmp_path: Path) -> None:
    array, third = np.ones((7, 6, 1), np.uint8), AFFINE.copy()
    third[:3, 3] = (AFFINE @ [0, 0, 2, 1])[:3]
    nib.save(nib.Nifti1Image(array, third), tmp_path / "m.nii")
    mask = open_mask(tmp_path / "m.nii", _grid())
    assert mask.inside.sum(axis=(1, 2)).tolist() == [0, 0, 42, 0, 0]
    (warning,) = mask.warnings
    assert "slice 2 of 5" in warning
    assert open_mask(tmp_path / "m.nii", _grid(third, (1, 6, 7))).warnings == ()
    assert len(open_mask(tmp_path / "m.nii", Grid((5, 6, 7))).inside) == 1


def test_a_mask_that_marks_nothing_of_its_image_is_told(tmp_path: Path) -> None:
    array, beside = np.zeros((7, 6, 5), np.uint8), AFFINE.copy()
    array[0] = 1
    beside[0, 3] -= 4 * 0.8
    nib.save(nib.Nifti1Image(array, beside), tmp_path / "m.nii")
    mask = open_mask(tmp_path / "m.nii", _grid())
    assert not mask.inside.any()
    assert "marks nothing" in mask.warnings[0]


def test_uneven_slices_take_no_mask_of_another_grid(tmp_path: Path) -> None:
    array, gap = _marked(), "its slices are unevenly spaced: 6 mm between slices 2 and 3"
    names = save_masks(tmp_path, array, AFFINE)
    mask = open_mask(tmp_path / "same.nii.gz", _grid(uneven=gap))
    assert np.array_equal(mask.inside, array.T > 0)
    assert gap in mask.warnings[0]
    for name in names[1:]:
        with pytest.raises(CaseError, match=f"{name}.*unevenly spaced: 6 mm"):
            open_mask(tmp_path / f"{name}.nii.gz", _grid(uneven=gap))


def test_two_series_with_gaps_at_different_slices(tmp_path: Path) -> None:
    array = _marked()
    write_series(tmp_path / "m", array.T, turned(array, AFFINE, "LPS").affine)
    (tmp_path / "m" / "002.dcm").unlink()
    grid = volume_grid(tmp_path / "m")
    assert grid.uneven
    assert open_mask(tmp_path / "m", grid).inside.shape == (4, 6, 7)
    other = Grid(grid.shape, grid.affine, "its slices are unevenly spaced: elsewhere")
    with pytest.raises(CaseError, match=r"the image can't be resampled: .*elsewhere"):
        open_mask(tmp_path / "m", other)


@pytest.mark.parametrize(
    ("values", "told"), [([0, 0.25, 1], True), ([0, 1, 1], False), ([0, 2.5, 7], False)]
)
def test_probabilities_are_no_mask_without_a_word(
    tmp_path: Path, values: list[float], told: bool
) -> None:
    np.save(tmp_path / "m.npy", np.array(values, np.float32).reshape(1, 1, 3))
    mask = open_mask(tmp_path / "m.npy", Grid((1, 1, 3)))
    assert mask.inside.ravel().tolist() == [False, True, True]
    assert [line for line in mask.warnings if "probabilities" in line] == list(
        mask.warnings if told else ()
    )
    assert bool(mask.warnings) == told
