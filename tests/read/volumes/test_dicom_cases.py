"""Series as scanners hand them over: each small case with the value worked out by hand."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import UID

from fastcam.errors import CaseError
from fastcam.read.volumes.volumes import (
    dicom_headers,
    open_volume,
    uneven_slices,
    volume_grid,
    volume_shape,
)
from fastcam.read.volumes.voxels import Volume

from ...stored_volumes import write_series
from .dicom_files import (
    AXIAL,
    CORONAL,
    SAGITTAL,
    classic,
    dataset,
    enhanced,
    place,
    table,
)


def numbered(values: Any, dtype: Any = np.int16) -> np.ndarray:
    """Slices of 8x8 that hold their number, pixel (0, 0) is -5."""
    voxels = np.ones((len(values), 8, 8), dtype) * np.array(values, dtype)[:, None, None]
    voxels[:, 0, 0] = -5 if np.dtype(dtype).kind == "i" else 0
    return voxels


def middle(volume: Any) -> list[float]:
    return volume.voxels[:, 4, 4].tolist()


def agrees(folder: Path, wanted: str | None = None) -> None:
    """What the headers promise is what is read."""
    volume = open_volume(folder, volume=wanted)
    assert volume_shape(folder, volume=wanted) == volume.voxels.shape
    grid = volume_grid(folder, volume=wanted)
    assert grid.shape == volume.voxels.shape
    assert np.array_equal(grid.affine, volume.affine)  # type: ignore[arg-type]
    assert grid.uneven == volume.uneven


def test_regular(tmp_path: Path) -> None:
    classic(tmp_path / "s", numbered(range(6)), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0])
    volume = open_volume(tmp_path / "s")
    assert volume.voxels.shape == (6, 8, 8)
    assert middle(volume) == [0, 1, 2, 3, 4, 5]
    assert volume.affine is not None
    assert volume.affine[:3, 2].tolist() == [0, 0, 2]
    assert (volume.uneven, volume.warnings) == ("", ())
    agrees(tmp_path / "s")


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (3, 0, 4, 1, 2)])
def test_frames_are_sorted_by_their_own_positions(tmp_path: Path, order: tuple[int, ...]) -> None:
    path = tmp_path / "s" / "e.dcm"
    enhanced(path, numbered(order), [2.0 * place for place in order])
    for source in (path, path.parent):
        volume = open_volume(source)
        assert middle(volume) == [0, 1, 2, 3, 4]
        assert volume.affine is not None
        assert volume.affine[:3, 2].tolist() == [0, 0, 2]
        assert volume.affine[:3, 3].tolist() == [10, 20, 30]
        agrees(source)


def test_several_files_of_many_frames_are_one_volume(tmp_path: Path) -> None:
    enhanced(tmp_path / "s" / "a.dcm", numbered([4, 0, 2]), [8.0, 0.0, 4.0])
    enhanced(tmp_path / "s" / "b.dcm", numbered([3, 1]), [6.0, 2.0])
    volume = open_volume(tmp_path / "s")
    assert middle(volume) == [0, 1, 2, 3, 4]
    assert len(dicom_headers(tmp_path / "s")) == 2
    agrees(tmp_path / "s")


def test_a_missing_slice(tmp_path: Path) -> None:
    present = [0, 1, 2, 6, 7, 8]
    classic(tmp_path / "s", numbered(present), [2.0 * z for z in present])
    volume = open_volume(tmp_path / "s")
    assert middle(volume) == present
    assert "a gap of 6 mm between slices 2 and 3" in volume.uneven
    assert "2 mm elsewhere" in volume.uneven
    assert volume.warnings == (f"{tmp_path / 's'}: {volume.uneven}",)
    assert volume.affine is not None
    assert volume.affine[:3, 2].tolist() == [0, 0, 2]  # never the mean step of 3.2
    assert uneven_slices(tmp_path / "s") == volume.uneven
    agrees(tmp_path / "s")


def test_two_phases_at_the_same_places(tmp_path: Path) -> None:
    for phase, values in enumerate(([0, 1, 2, 3], [10, 11, 12, 13])):
        classic(tmp_path / "s", numbered(values), [0.0, 2.0, 4.0, 6.0], first=10 * phase)
    for read in (open_volume, volume_shape, volume_grid, dicom_headers):
        with pytest.raises(CaseError) as caught:
            read(tmp_path / "s")
        for word in ("phase 1 (4 images)", "phase 2 (4 images)", "--volume", str(tmp_path / "s")):
            assert word in str(caught.value)
    for wanted, start in (("1", 0), ("phase 2", 10), ("2", 10)):
        expected = list(range(start, start + 4))
        assert middle(open_volume(tmp_path / "s", volume=wanted)) == expected
        agrees(tmp_path / "s", wanted)
    with pytest.raises(CaseError, match="--volume 3: there are 2"):
        open_volume(tmp_path / "s", volume="3")
    assert uneven_slices(tmp_path / "s") == ""


def test_a_phase_with_a_slice_missing_is_not_filled_from_the_other(tmp_path: Path) -> None:
    classic(tmp_path / "s", numbered([0, 1, 3]), [0.0, 2.0, 6.0])
    classic(tmp_path / "s", numbered([10, 11, 12, 13]), [0.0, 2.0, 4.0, 6.0], first=10)
    first = open_volume(tmp_path / "s", volume="1")
    assert middle(first) == [0, 1, 3]
    assert "gap" in first.uneven
    assert middle(open_volume(tmp_path / "s", volume="2")) == [10, 11, 12, 13]


def test_images_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    """Place by place, and one place has fewer: nobody knows which phase that image is of."""
    heights, values = [0.0, 0.0, 2.0, 4.0, 4.0], [0, 10, 1, 2, 12]
    classic(tmp_path / "s", numbered(values), heights)
    with pytest.raises(CaseError, match=r"5 images lie at 3 places.*000\.dcm and 001\.dcm"):
        open_volume(tmp_path / "s")


def test_three_planes(tmp_path: Path) -> None:
    for number, plane in enumerate((AXIAL, SAGITTAL, CORONAL)):
        classic(tmp_path / "s", numbered([number]), [0.0], plane=plane, first=number)
    with pytest.raises(CaseError) as caught:
        open_volume(tmp_path / "s")
    for word in ("axial", "sagittal", "coronal", "--volume"):
        assert word in str(caught.value)
    assert middle(open_volume(tmp_path / "s", volume="coronal")) == [2]


def test_low_values_bright(tmp_path: Path) -> None:
    voxels = numbered(range(3))
    classic(tmp_path / "a", voxels, [0.0, 2.0, 4.0])
    classic(tmp_path / "b", voxels, [0.0, 2.0, 4.0], PhotometricInterpretation="MONOCHROME1")
    low, high = open_volume(tmp_path / "a").window
    assert open_volume(tmp_path / "b").window == (high, low)


@pytest.mark.parametrize("words", ["US", "OW"])
def test_a_modality_table(tmp_path: Path, words: str) -> None:
    sequence = table([4, 0, 16], [0, 100, 200, 300], words, ModalityLUTType="HU")
    stored = numbered([0, 1, 2], np.uint16)
    classic(tmp_path / "s", stored, [0.0, 2.0, 4.0], ModalityLUTSequence=sequence)
    volume = open_volume(tmp_path / "s")
    assert middle(volume) == [0, 100, 200]
    assert (volume.slope, volume.intercept) == (1, 0)
    assert volume.voxels.dtype == np.uint16


def test_twelve_bits_in_sixteen(tmp_path: Path) -> None:
    stored = np.full((3, 8, 8), -3 & 0xFFF, np.uint16)
    tags: dict[str, Any] = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 1}
    classic(tmp_path / "s", stored, [0.0, 2.0, 4.0], **tags)
    assert middle(open_volume(tmp_path / "s")) == [-3, -3, -3]


def test_several_series(tmp_path: Path) -> None:
    heights = [0.0, 2.0, 4.0]
    tags: dict[str, Any] = {
        "SeriesNumber": 7,
        "SeriesDescription": "T2 tra",
        "SeriesInstanceUID": "7.7",
    }
    classic(tmp_path / "s", numbered([0, 1, 2]), heights)
    classic(tmp_path / "s", numbered([5, 6, 7]), heights, first=50, **tags)
    with pytest.raises(CaseError, match=r"1: series 1 \(3 images\); 2: series 7 T2 tra \(3 im"):
        open_volume(tmp_path / "s")
    assert middle(open_volume(tmp_path / "s", volume="series 7")) == [5, 6, 7]
    assert middle(open_volume(tmp_path / "s", volume="1")) == [0, 1, 2]
    agrees(tmp_path / "s", "2")


def test_overlapping_acquisitions(tmp_path: Path) -> None:
    each = [{"AcquisitionNumber": n} for n in (1, 1, 1, 2, 2, 2)]
    classic(
        tmp_path / "s",
        numbered([0, 1, 2, 12, 13, 14]),
        [0.0, 2.0, 4.0, 4.0, 6.0, 8.0],
        each=each,
    )
    assert middle(open_volume(tmp_path / "s", volume="acquisition 2")) == [12, 13, 14]


def test_copies_count_once(tmp_path: Path) -> None:
    paths = classic(tmp_path / "s", numbered([0, 1, 2]), [0.0, 2.0, 4.0])
    (tmp_path / "s" / "copy.dcm").write_bytes(paths[1].read_bytes())
    volume = open_volume(tmp_path / "s")
    assert middle(volume) == [0, 1, 2]
    (warning,) = volume.warnings
    assert "copies" in warning
    assert "001.dcm" in warning


def test_a_tilted_gantry_keeps_its_shear(tmp_path: Path) -> None:
    each: list[dict[str, Any]] = [
        {"ImagePositionPatient": [0.0, 0.5 * z, 2.0 * z]} for z in range(4)
    ]
    classic(tmp_path / "s", numbered(range(4)), [0.0] * 4, each=each)
    volume = open_volume(tmp_path / "s")
    assert volume.affine is not None
    assert volume.affine[:3, 2].tolist() == [0, -0.5, 2]
    assert volume.uneven == ""


def test_frames_that_share_one_position_stay_in_order_and_say_so(tmp_path: Path) -> None:
    path = tmp_path / "m.dcm"
    tags: dict[str, Any] = {
        "ImageOrientationPatient": list(AXIAL),
        "ImagePositionPatient": place(0),
    }
    dataset(numbered([4, 2, 9]), SliceThickness=3, PixelSpacing=[1, 1], **tags).save_as(path)
    volume = open_volume(path)
    assert middle(volume) == [4, 2, 9]
    assert volume.affine is not None
    assert volume.affine[:3, 2].tolist() == [0, 0, 3]
    assert "3 mm apart" in volume.warnings[0]


def test_a_dose_grid_has_its_offsets(tmp_path: Path) -> None:
    path = tmp_path / "d.dcm"
    tags: dict[str, Any] = {
        "ImageOrientationPatient": list(AXIAL),
        "ImagePositionPatient": [0.0, 0.0, 100.0],
        "PixelSpacing": [1, 1],
    }
    for offsets in ([0.0, 10.0, 5.0], [100.0, 110.0, 105.0]):
        dataset(numbered([0, 2, 1]), GridFrameOffsetVector=offsets, **tags).save_as(path)
        volume = open_volume(path)
        assert middle(volume) == [0, 1, 2]
        assert volume.affine is not None
        assert volume.affine[:3, 2:].tolist() == [[0, 0], [0, 0], [5, 100]]


def test_clips_of_frames_without_places_are_volumes_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for name, values in (("a", [3, 1, 2]), ("b", [7, 9, 8])):
        dataset(numbered(values), InstanceNumber=1).save_as(tmp_path / "s" / f"{name}.dcm")
    with pytest.raises(CaseError, match=r"series 1, a\.dcm \(3 images\); 2: series 1, b\.dcm"):
        open_volume(tmp_path / "s")
    assert middle(open_volume(tmp_path / "s", volume="series 1, b")) == [7, 9, 8]


def test_a_mosaic_is_not_taken_for_a_slice(tmp_path: Path) -> None:
    kind = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]
    classic(tmp_path / "s", numbered([0, 1]), [0.0, 2.0], ImageType=kind)
    with pytest.raises(CaseError, match=r"mosaic.*dcm2niix"):
        open_volume(tmp_path / "s")


def test_volumes_keep_their_order_whatever_the_files_are_called(tmp_path: Path) -> None:
    traits = [{"EchoNumbers": n, "EchoTime": t} for n, t in ((2, 4.92), (10, 24.6), (1, 2.46))]
    orders = itertools.islice(itertools.permutations(range(3)), 3)
    for number, order in enumerate(orders):
        folder = tmp_path / str(number)
        for at, echo in enumerate(order):
            echo_tags: dict[str, Any] = traits[echo]
            classic(folder, numbered([echo, echo]), [0.0, 2.0], first=10 * at, **echo_tags)
        assert [middle(open_volume(folder, volume=v))[0] for v in "123"] == [2, 0, 1]


def test_headers_come_in_the_order_of_the_slices(tmp_path: Path) -> None:
    classic(tmp_path / "s", numbered([0, 1, 2]), [0.0, 2.0, 4.0], names=[2, 0, 1])
    headers = dicom_headers(tmp_path / "s")
    assert [header.ImagePositionPatient[2] for header in headers] == [30, 32, 34]
    assert not any(hasattr(header, "PixelData") for header in headers)


def test_an_identity_shared_by_all_images_does_not_make_them_copies(tmp_path: Path) -> None:
    for path in classic(tmp_path / "s", numbered([0, 1, 2]), [0.0, 2.0, 4.0]):
        image = pydicom.dcmread(path)
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = UID("1.1")
        image.save_as(path)
    assert middle(open_volume(tmp_path / "s")) == [0, 1, 2]


def _changed(folder: Path, **elements: Any) -> Volume:
    """Four slices of a series, with other elements in each header; None takes them away."""
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    write_series(folder, np.arange(4 * 6 * 5).reshape(4, 6, 5).astype(np.int16), affine)
    for path in folder.iterdir():
        header = pydicom.dcmread(path)
        for name, value in elements.items():
            if value is None:
                delattr(header, name)
            else:
                setattr(header, name, value)
        header.save_as(path)
    return open_volume(folder)


def test_what_a_header_does_not_say_is_said(tmp_path: Path) -> None:
    assert _changed(tmp_path / "whole").warnings == ()
    for number, spacing in enumerate(([0, 0], None)):
        (line,) = _changed(tmp_path / f"size{number}", PixelSpacing=spacing).warnings
        assert "gives no size of its pixels; they are taken as 1 mm wide" in line
    (line,) = _changed(tmp_path / "places", ImagePositionPatient=None).warnings
    assert "have no positions; they are taken in the order of their numbers" in line


def test_a_place_that_is_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"\.dcm: can't be read: its header gives .*not all finite"):
        _changed(tmp_path / "nan", ImagePositionPatient=["nan", "0", "1"])


_PLACE = ("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient")


@pytest.mark.parametrize("ratio", [(2, 1), (1, 1), (3, 4)])
def test_pixels_that_are_not_square(tmp_path: Path, ratio: tuple[int, int]) -> None:
    """The aspect ratio, height then width, stands in for a spacing that isn't given; without a
    position there is no grid that could have it, which is said."""
    for name, keywords in (("placed", ("PixelSpacing",)), ("loose", _PLACE)):
        image = dataset(np.arange(64, dtype=np.int16).reshape(8, 8))
        image.ImagePositionPatient, image.ImageOrientationPatient = [0, 0, 0], list(AXIAL)
        image.PixelSpacing, image.PixelAspectRatio = [1, 1], list(ratio)
        for keyword in keywords:
            del image[keyword]
        image.save_as(tmp_path / f"{name}.dcm", enforce_file_format=True)
    placed = open_volume(tmp_path / "placed.dcm")
    assert placed.affine is not None
    sides = np.linalg.norm(placed.affine[:3, :2], axis=0)
    np.testing.assert_allclose(sides, [1, ratio[0] / ratio[1]])
    loose = open_volume(tmp_path / "loose.dcm")
    assert loose.affine is None
    said = any("times as high as wide" in line for line in loose.warnings)
    assert said == (ratio[0] != ratio[1])
