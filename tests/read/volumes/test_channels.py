"""Volumes of several channels: 4-D NIfTI and nnU-Net's files, against nibabel."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.errors import CaseError
from fastcam.read.volumes.channels import (
    channel_count,
    channel_files,
    channel_name,
    channels_grid,
    open_channel,
    open_channels,
)

RNG = np.random.default_rng(2)
AFFINE = np.array([[-2.0, 0, 0, 5], [0, 0, 3, 6], [0, 1.5, 0, 7], [0, 0, 0, 1]])


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nibabel.Nifti1Image(array, affine).to_filename(path)
    return path


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 4)] * 3),
    count=st.integers(1, 4),
    kind=st.sampled_from([np.int16, np.uint8, np.float32]),
    suffix=st.sampled_from([".nii", ".nii.gz"]),
    fifth=st.booleans(),
)
def test_4d_files_as_nibabel_reads_them(
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[int, int, int],
    count: int,
    kind: type,
    suffix: str,
    fifth: bool,
) -> None:
    array = RNG.integers(0, 99, (*shape, count)).astype(kind)
    folder = tmp_path_factory.mktemp("c")
    path = save(folder / f"a{suffix}", array[:, :, :, None, :] if fifth else array)
    volumes = open_channels(path)
    assert channel_count(path) == len(volumes) == count
    stored = np.asanyarray(nibabel.Nifti1Image.from_filename(path).dataobj).reshape(*shape, count)
    for number, volume in enumerate(volumes):
        np.testing.assert_array_equal(volume.voxels, stored[..., number].T)
        np.testing.assert_array_equal(volume.affine, AFFINE)
        one = open_channel(path, number + 1)
        np.testing.assert_array_equal(one.voxels, volume.voxels)
    assert channels_grid(path).shape == shape[::-1]


def test_names() -> None:
    assert channel_name(Path("x/la_003_0001.nii.gz")) == ("la_003", 1)
    for name in ("la_003.nii.gz", "_0000.nii.gz", "a_00000.nii.gz", "a_0000", "a_0000.txt"):
        assert channel_name(Path(name)) is None


def test_files_of_a_case(tmp_path: Path) -> None:
    arrays = RNG.normal(size=(3, 4, 5, 6)).astype(np.float32)
    paths = [save(tmp_path / f"k_{n:04d}.nii.gz", array) for n, array in enumerate(arrays)]
    save(tmp_path / "k_0004.nii.gz", arrays[0])  # beyond a gap: none of this case's
    save(tmp_path / "kk_0001.nii.gz", arrays[0])
    assert channel_files(paths[0]) == tuple(paths)
    assert channel_files(paths[1]) == (paths[1],)
    assert channel_count(paths[0]) == 3
    for volume, array in zip(open_channels(paths[0]), arrays, strict=True):
        np.testing.assert_array_equal(volume.voxels, array.T)
    np.testing.assert_array_equal(open_channel(paths[0], 3).voxels, arrays[2].T)
    with pytest.raises(CaseError, match="has 3 channels, and --show-channel 4 is none"):
        open_channel(paths[0], 4)


def test_channels_of_two_grids_are_refused(tmp_path: Path) -> None:
    first = save(tmp_path / "a_0000.nii.gz", np.zeros((4, 5, 6)))
    save(tmp_path / "a_0001.nii.gz", np.zeros((4, 5, 7)))
    with pytest.raises(CaseError, match=r"a_0001.*has shape \(7, 5, 4\).*must have one grid"):
        open_channels(first)
    moved = AFFINE.copy()
    moved[0, 3] += 1
    save(tmp_path / "a_0001.nii.gz", np.zeros((4, 5, 6)), moved)
    with pytest.raises(CaseError, match=r"a_0001.*lies elsewhere than a_0000.*must have one grid"):
        open_channels(first)


def test_two_further_axes_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", np.zeros((3, 3, 3, 2, 2)))
    with pytest.raises(CaseError, match="one further axis at most"):
        open_channels(path)
