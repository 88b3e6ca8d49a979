"""One of several volumes of a NIfTI file, beside nibabel; and of files that hold one."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.errors import CaseError
from fastcam.read.volumes.volumes import open_volume, volume_grid, volume_shape


def save(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    array = np.random.default_rng(len(shape)).integers(-99, 99, shape).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([2, 3, 4, 1])), path)
    return array


@settings(deadline=None, max_examples=20)
@given(
    lengths=st.tuples(*[st.integers(1, 4)] * 3),
    count=st.integers(2, 5),
    beyond=st.booleans(),
    suffix=st.sampled_from([".nii", ".nii.gz"]),
)
def test_the_fourth_axis_has_numbers_from_1(
    tmp_path_factory, lengths, count, beyond, suffix
) -> None:
    path = tmp_path_factory.mktemp("n") / f"a{suffix}"
    # A fifth axis is one of vectors: the fourth is then of length 1.
    array = save(path, (*lengths, 1, count) if beyond else (*lengths, count))
    array = array.reshape(*lengths, count)
    for number in range(1, count + 1):
        volume = open_volume(path, volume=str(number))
        assert np.array_equal(volume.voxels, array[..., number - 1].T)
        assert volume_shape(path, volume=str(number)) == volume.voxels.shape
        assert volume_grid(path, volume=str(number)).shape == volume.voxels.shape


@pytest.mark.parametrize("wanted", ["0", "4", "-1", "echo 1", ""])
def test_a_number_that_is_none(tmp_path: Path, wanted: str) -> None:
    save(tmp_path / "a.nii.gz", (2, 3, 4, 3))
    for read in (open_volume, volume_shape, volume_grid):
        with pytest.raises(CaseError, match=f"--volume {wanted}: there are 3 volumes.*1 to 3"):
            read(tmp_path / "a.nii.gz", volume=wanted)


def test_without_a_number_several_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.nii.gz", (2, 3, 4, 3))
    for read in (open_volume, volume_shape, volume_grid):
        with pytest.raises(CaseError, match=r"a\.nii\.gz: has shape \(2, 3, 4, 3\).*--volume N, 1"):
            read(tmp_path / "a.nii.gz")


def test_files_of_one_volume_take_number_1(tmp_path: Path) -> None:
    array = save(tmp_path / "a.nii.gz", (2, 3, 4))
    np.save(tmp_path / "b.npy", array.T)
    for name in ("a.nii.gz", "b.npy"):
        assert np.array_equal(open_volume(tmp_path / name, volume="1").voxels, array.T)
        assert volume_shape(tmp_path / name, volume="1") == (4, 3, 2)
        for read in (open_volume, volume_shape, volume_grid):
            with pytest.raises(CaseError, match=rf"{name}: --volume 2: .*(1|one) volume"):
                read(tmp_path / name, volume="2")
