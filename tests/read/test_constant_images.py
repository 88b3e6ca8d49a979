"""Images and volumes of one value everywhere are said to be so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastcam.read.constant_images import constant_input_warning, constant_warning
from fastcam.read.volumes.volumes import open_volume


@pytest.mark.parametrize("value", [0, -7, 1024])
def test_a_constant_volume(tmp_path: Path, value: int) -> None:
    path = tmp_path / "v.npy"
    np.save(path, np.full((3, 4, 5), value, np.int16))
    (warning,) = open_volume(path).warnings
    assert warning == f"{path}: has the value {value} everywhere: there is nothing to look at in it"
    assert open_volume(path, labels=True).warnings == ()  # an empty mask is one


@pytest.mark.parametrize("place", [(0, 0, 0), (2, 3, 4), (1, 2, 2)])
def test_one_other_voxel_is_something_to_see(place: tuple[int, int, int]) -> None:
    voxels = np.zeros((3, 4, 5), np.int16)
    voxels[place] = 1
    assert constant_warning(Path("v.npy"), voxels) == ()


def test_a_picture_of_one_color() -> None:
    pixels = np.empty((3, 4, 5), np.float32)
    pixels[:] = np.array([-1.5, 0.25, 2], np.float32)[:, None, None]
    (warning,) = constant_input_warning(Path("green.png"), pixels)
    assert warning.startswith("green.png: is of one color everywhere")
    for place in np.ndindex(pixels.shape):
        other = pixels.copy()
        other[place] += 1
        assert constant_input_warning(Path("green.png"), other) == (), place
