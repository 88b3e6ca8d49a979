from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastcam.errors import CaseError
from fastcam.read.volumes.voxels import Volume, luminance, native

PATH = Path("x.npy")


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("?", "u1"),
        ("<f2", "f4"),
        (">f4", "f4"),
        (">i2", "i2"),
        ("g", "f8"),
        ("u1", "u1"),
        ("<i4", "i4"),
        ("<f8", "f8"),
        (">u8", "u8"),
    ],
)
def test_types_become_ones_that_kernels_read(stored: str, expected: str) -> None:
    voxels = np.array([[[0, 1]]], stored)
    result = native(voxels, PATH)
    assert result.dtype == np.dtype(expected)
    assert result.dtype.isnative
    assert result.tolist() == [[[0, 1]]]


@pytest.mark.parametrize("stored", ["c8", "U3", [("a", "i4")]])
def test_types_that_are_no_grey_levels_are_refused(stored: object) -> None:
    with pytest.raises(CaseError, match=r"x\.npy: holds values of type"):
        native(np.zeros((1, 1, 1), stored), PATH)


def test_luminance_is_pillows() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), np.uint8)
    expected = np.array([Image.fromarray(picture).convert("L") for picture in colour], np.int16)
    # pillow-simd rounds one pixel in a thousand the other way.
    assert np.abs(luminance(colour) - expected).max() <= 1
    assert np.array_equal(luminance(colour[0]), luminance(colour)[0])
    grey = np.stack([colour[0, :, :, 0]] * 3, axis=-1)
    assert np.array_equal(luminance(grey), colour[0, :, :, 0])


def test_luminance_of_16_bits_and_of_floats() -> None:
    white = np.full((2, 2, 3), 65535, np.uint16)
    assert luminance(white).tolist() == [[65535, 65535]] * 2
    np.testing.assert_allclose(luminance(np.full((1, 1, 3), 0.5, np.float32)), 0.5)


def test_percentiles_where_the_file_gives_no_window() -> None:
    voxels = np.random.default_rng(1).normal(0, 900, (5, 20, 20)).astype(np.int16)
    assert Volume(voxels=voxels).window == pytest.approx(np.percentile(voxels, [0.5, 99.5]))


def test_the_files_window_is_brought_into_raw_units() -> None:
    voxels = np.zeros((1, 2, 2), np.int16)
    volume = Volume(voxels=voxels, file_window=(-100.0, 300.0), slope=2.0, intercept=-1024.0)
    assert volume.window == (462.0, 662.0)


def test_negative_slopes_and_monochrome1_turn_the_window() -> None:
    voxels = np.arange(1000, dtype=np.int16).reshape(10, 10, 10)
    low, high = Volume(voxels=voxels).window
    assert low < high
    assert Volume(voxels=voxels, slope=-1.0).window == (high, low)
    assert Volume(voxels=voxels, inverted=True).window == (high, low)
    assert Volume(voxels=voxels, slope=-1.0, inverted=True).window == (low, high)
    assert Volume(voxels=voxels, file_window=(0.0, 10.0), slope=-1.0).window == (0.0, -10.0)


@pytest.mark.parametrize("value", [0, 7, -1e30, np.nan, np.inf])
def test_a_constant_volume_has_a_usable_window(value: float) -> None:
    low, high = Volume(voxels=np.full((2, 3, 3), value, np.float32)).window
    assert np.isfinite([low, high]).all()
    assert low < high


def test_a_few_bright_voxels_still_make_a_window() -> None:
    voxels = np.zeros((10, 20, 20), np.float32)
    voxels[5, 5, 5] = 3.0
    voxels[0, 0, 0] = np.nan
    assert Volume(voxels=voxels).window == (0.0, 3.0)


def test_a_window_that_is_no_number_is_ignored() -> None:
    voxels = np.arange(1000, dtype=np.float32).reshape(10, 10, 10)
    assert Volume(voxels=voxels, file_window=(np.nan, 3.0)).window == Volume(voxels=voxels).window
