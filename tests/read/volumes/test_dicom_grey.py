"""Lookup tables and padding, beside pydicom's own functions and by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from fastcam.read.volumes.dicom import read_dicom
from fastcam.read.volumes.volumes import open_volume
from fastcam.read.volumes.voxels import windowed

from .dicom_files import classic, dataset, enhanced, item, table

HEIGHTS = [0.0, 2.0, 4.0]
RAMP = np.arange(3 * 4 * 5, dtype=np.uint16).reshape(3, 4, 5)


def shown(path: Path) -> np.ndarray:
    """Voxels as they are shown, 0 to 1."""
    volume = open_volume(path)
    return windowed(volume.voxels, volume.window, np.float64)


def write(path: Path, pixels: np.ndarray, **tags: Any) -> pydicom.FileDataset:
    dataset(pixels, **tags).save_as(path)
    return pydicom.dcmread(path)


@settings(deadline=None, max_examples=40)
@given(
    words=st.sampled_from(["US", "OW"]),
    bits=st.integers(10, 16),
    first=st.integers(0, 70),
    data=st.data(),
)
def test_tables_give_what_pydicom_gives(tmp_path_factory, words, bits, first, data) -> None:
    count = data.draw(st.integers(2, 64))
    entries = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=count, max_size=count))
    path = tmp_path_factory.mktemp("lut") / "a.dcm"
    modality = table([count, first, 16], entries, words, ModalityLUTType="US")
    image = write(path, RAMP[0], ModalityLUTSequence=modality)
    expected = apply_modality_lut(image.pixel_array, image)
    assert np.array_equal(open_volume(path).voxels[0], expected)
    image = write(path, RAMP[0], VOILUTSequence=table([count, first, bits], entries, words))
    expected = apply_voi_lut(image.pixel_array, image)
    volume = open_volume(path)
    assert np.array_equal(volume.voxels[0], expected)
    assert volume.window == (0, 2**bits - 1)


def test_an_8_bit_table_for_12_bits(tmp_path: Path) -> None:
    """A case in which pydicom's index is of the table's own type, and wraps round."""
    entries = (np.arange(4096) // 16).tolist()
    pixels = np.array([[0, 255, 256, 4095, 5000]], np.uint16)
    write(tmp_path / "a.dcm", pixels, VOILUTSequence=table([4096, 0, 8], entries))
    volume = open_volume(tmp_path / "a.dcm")
    assert volume.voxels.tolist() == [[[0, 15, 16, 255, 255]]]
    assert volume.window == (0, 255)


def test_a_voi_table_acts_on_the_quantity_and_before_the_window(tmp_path: Path) -> None:
    tags: dict[str, Any] = {
        "RescaleSlope": 2,
        "RescaleIntercept": -100,
        "WindowCenter": 0,
        "WindowWidth": 10,
    }
    # The first value is -100; as unsigned words, as pydicom writes for unsigned pixels.
    voi = table([5, 65536 - 100, 10], [0, 250, 500, 750, 1000])
    pixels = np.array([[0, 1, 2, 9]], np.uint16)  # -100, -98, -96, -82
    write(tmp_path / "a.dcm", pixels, VOILUTSequence=voi, **tags)
    assert open_volume(tmp_path / "a.dcm").voxels.tolist() == [[[0, 500, 1000, 1000]]]
    volume = open_volume(tmp_path / "a.dcm", voi=False)
    assert (volume.slope, volume.intercept, volume.file_window) == (2, -100, (-5, 4))
    assert np.array_equal(volume.voxels[0], pixels)


def test_each_frame_has_its_own_table(tmp_path: Path) -> None:
    frames = np.tile(np.array([[0, 1, 2]], np.uint16), (3, 2, 1))
    tables = [([0, 1, 2], 10), ([0, 512, 1023], 10), ([0, 128, 255], 8)]
    each = [
        {"FrameVOILUTSequence": item(VOILUTSequence=list(table([3, 0, bits], entries)))}
        for entries, bits in tables
    ]
    path = enhanced(tmp_path / "e.dcm", frames, HEIGHTS, each=each)
    voxels = open_volume(path).voxels
    np.testing.assert_allclose(voxels[0, 0], [0, 1, 2])
    np.testing.assert_allclose(voxels[1, 0], [0, 512, 1023])
    np.testing.assert_allclose(voxels[2, 0], [0, 128 * 1023 / 255, 1023], rtol=1e-6)


def test_a_sigmoid_window_is_pydicoms(tmp_path: Path) -> None:
    tags: dict[str, Any] = {"VOILUTFunction": "SIGMOID", "WindowCenter": 30, "WindowWidth": 20}
    image = write(tmp_path / "a.dcm", RAMP[1], BitsStored=12, HighBit=11, **tags)
    expected = apply_voi_lut(image.pixel_array, image) / 4095
    np.testing.assert_allclose(shown(tmp_path / "a.dcm")[0], expected, atol=1e-6)


def test_frames_have_their_own_rescale_and_window(tmp_path: Path) -> None:
    each = [
        {
            "PixelValueTransformationSequence": item(
                RescaleSlope=z + 1.0, RescaleIntercept=-5.0, RescaleType="US"
            ),
            "FrameVOILUTSequence": item(WindowCenter=100.0 * z, WindowWidth=51.0),
        }
        for z in (2, 0, 1)
    ]
    frames = RAMP.astype(np.int16)[[2, 0, 1]]
    path = enhanced(tmp_path / "e.dcm", frames, [4.0, 0.0, 2.0], each=each)
    volume = open_volume(path)
    expected = RAMP * np.array([1, 2, 3])[:, None, None] - 5.0
    np.testing.assert_allclose(volume.voxels, expected)
    assert volume.file_window == (74.5, 124.5)  # of the middle slice, centre 100


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("slope", [1.0, -1.0])
@pytest.mark.parametrize(
    ("padding", "dtype"),
    [(-2000, np.int16), (32767, np.int16), (0, np.uint8), (255, np.uint8), (65535, np.uint16)],
)
def test_padding_is_black_and_no_part_of_the_window(
    tmp_path: Path, padding: int, dtype: Any, slope: float, inverted: bool
) -> None:
    stored = np.random.default_rng(0).integers(10, 90, (3, 8, 8)).astype(dtype)
    outside = np.zeros(stored.shape, bool)
    outside[:, :3] = True
    tags: dict[str, Any] = {"RescaleSlope": slope, "RescaleIntercept": 0}
    if inverted:
        tags["PhotometricInterpretation"] = "MONOCHROME1"
    classic(tmp_path / "a", stored[:, 3:], HEIGHTS, **tags)
    padded = np.where(outside, np.array(padding, dtype), stored)
    classic(tmp_path / "b", padded, HEIGHTS, PixelPaddingValue=padding, **tags)
    assert open_volume(tmp_path / "b").window == open_volume(tmp_path / "a").window
    grey = shown(tmp_path / "b")
    assert not grey[outside].any()
    assert np.array_equal(grey[~outside].reshape(3, 5, 8), shown(tmp_path / "a"))


def test_a_range_of_padding_with_a_window_of_the_file(tmp_path: Path) -> None:
    stored = np.array([[[100, 200, 300, 4000, 4050, 4095]]], np.uint16)
    tags: dict[str, Any] = {"PixelPaddingValue": 4095, "PixelPaddingRangeLimit": 4000}
    classic(tmp_path / "a", stored, [0.0], WindowCenter=200, WindowWidth=200, **tags)
    volume = open_volume(tmp_path / "a")
    assert volume.file_window == (100, 299)
    assert shown(tmp_path / "a")[0, 0, 3:].tolist() == [0, 0, 0]
    assert shown(tmp_path / "a")[0, 0, 2] == 1


def test_padding_written_with_the_other_sign(tmp_path: Path) -> None:
    """63536 as unsigned, which is -2000 in the pixels' own type, as GE writes it."""
    stored = np.array([[[-2000, 5, 10, 20]]], np.int16)
    paths = classic(tmp_path / "a", stored, [0.0])
    image = pydicom.dcmread(paths[0])
    image.add_new("PixelPaddingValue", "US", 63536)
    image.save_as(paths[0])
    volume = open_volume(tmp_path / "a")
    assert volume.padding is not None
    assert volume.window[0] >= 5


@pytest.mark.parametrize(
    ("tags", "unit"),
    [
        ({"Modality": "CT", "RescaleIntercept": -1024, "RescaleSlope": 1}, "HU"),
        ({"Modality": "CT"}, ""),
        ({"Modality": "CT", "RescaleIntercept": 0, "RescaleSlope": 1, "RescaleType": "US"}, ""),
        ({"Modality": "MR", "RescaleIntercept": 0, "RescaleSlope": 1, "RescaleType": "ms"}, "ms"),
        ({"Modality": "PT", "RescaleIntercept": 0, "RescaleSlope": 2, "Units": "BQML"}, "BQML"),
    ],
)
def test_the_unit_of_the_quantity(tmp_path, tags, unit):
    stored = np.arange(12, dtype=np.int16).reshape(1, 3, 4)
    assert read_dicom(classic(tmp_path / "a", stored, [0.0], **tags)).unit == unit


def test_the_name_of_the_series_or_what_there_is_of_its_sequence(tmp_path):
    stored = np.arange(12, dtype=np.int16).reshape(1, 3, 4)
    named = classic(tmp_path / "a", stored, [0.0], SeriesDescription=" Ax T1\t", ProtocolName="x")
    assert read_dicom(named).series == "Ax T1"
    (path,) = classic(tmp_path / "b", stored, [0.0], SeriesDescription="", SequenceName="*tfl3d1")
    assert read_dicom([path]).series == "*tfl3d1"
    assert read_dicom(classic(tmp_path / "c", stored, [0.0])).series == ""


def test_the_unit_of_an_enhanced_file(tmp_path):
    stored = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    rescale = item(RescaleIntercept=0, RescaleSlope=1, RescaleType="ms")
    path = enhanced(
        tmp_path / "a.dcm", stored, [0.0, 2.0], shared={"PixelValueTransformationSequence": rescale}
    )
    assert read_dicom([path]).unit == "ms"
