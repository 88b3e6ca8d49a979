from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from fastcam.errors import CaseError
from fastcam.read.volumes.dicom import dicom_shape, read_dicom

VOXELS = np.random.default_rng(0).integers(-500, 1500, (4, 6, 5)).astype(np.int16)
AXIAL = [1, 0, 0, 0, 1, 0]


def _dataset(pixels: np.ndarray, **tags: Any) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    image = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    image.SeriesInstanceUID = "1.2.3"
    colour = pixels.ndim > 2 and pixels.shape[-1] == 3 and "NumberOfFrames" not in tags
    image.Rows, image.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    image.SamplesPerPixel = 3 if colour else 1
    image.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        image.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    image.BitsAllocated = image.BitsStored = bits
    image.HighBit = bits - 1
    image.PixelRepresentation = int(pixels.dtype.kind == "i")
    image.PixelData = pixels.tobytes()
    for keyword, value in tags.items():
        setattr(image, keyword, value)
    return image


def _series(folder: Path, voxels: np.ndarray = VOXELS, **tags: Any) -> list[Path]:
    """Axial slices 2.5 mm apart, named against their order."""
    folder.mkdir(exist_ok=True)
    for z, pixels in enumerate(voxels):
        place = {
            "ImageOrientationPatient": AXIAL,
            "ImagePositionPatient": [-10, -20, 30 + 2.5 * z],
            "PixelSpacing": [0.5, 0.75],
            "InstanceNumber": len(voxels) - z,
        }
        image = _dataset(pixels, **(place | tags))
        image.save_as(folder / f"{len(voxels) - z}.dcm")
    return sorted(folder.iterdir())


def test_a_series_is_sorted_along_its_normal(tmp_path: Path) -> None:
    volume = read_dicom(_series(tmp_path))
    assert np.array_equal(volume.voxels, VOXELS)
    assert volume.voxels.dtype == np.int16
    assert dicom_shape(sorted(tmp_path.iterdir())) == (4, 6, 5)
    # Worked by hand: columns step 0.75 mm to the left, rows 0.5 mm to the back, slices 2.5 mm up.
    expected = [[-0.75, 0, 0, 10], [0, -0.5, 0, 20], [0, 0, 2.5, 30], [0, 0, 0, 1]]
    assert volume.affine is not None
    np.testing.assert_allclose(volume.affine, expected)  # type: ignore[arg-type]
    assert volume.file_window is None


def test_sagittal_slices_sort_along_their_own_normal(tmp_path: Path) -> None:
    for z, pixels in enumerate(VOXELS):
        image = _dataset(
            pixels,
            ImageOrientationPatient=[0, 1, 0, 0, 0, -1],  # normal is (-1, 0, 0)
            ImagePositionPatient=[-3.0 * z, 0, 0],
            PixelSpacing=[1, 1],
        )
        image.save_as(tmp_path / f"{9 - z}.dcm")
    volume = read_dicom(sorted(tmp_path.iterdir()))
    assert np.array_equal(volume.voxels, VOXELS)
    assert volume.affine is not None
    expected = [[0, 0, 3, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.affine, expected)


def test_without_positions_by_number_and_without_numbers_by_name(tmp_path: Path) -> None:
    names = ["b10.dcm", "b9.dcm", "b1.dcm", "b2.dcm"]
    for z, name in enumerate(names):
        _dataset(VOXELS[z], InstanceNumber=z + 8).save_as(tmp_path / name)
    volume = read_dicom(sorted(tmp_path.iterdir()))
    assert np.array_equal(volume.voxels, VOXELS)
    assert volume.affine is None
    for z, name in enumerate(names):
        _dataset(VOXELS[z]).save_as(tmp_path / name)
    volume = read_dicom(sorted(tmp_path.iterdir()))
    assert np.array_equal(volume.voxels, VOXELS[[2, 3, 1, 0]])


def test_one_rescale_is_told_and_many_are_applied(tmp_path: Path) -> None:
    paths = _series(tmp_path, RescaleSlope=2, RescaleIntercept=-1024)
    volume = read_dicom(paths)
    assert np.array_equal(volume.voxels, VOXELS)
    assert (volume.slope, volume.intercept) == (2, -1024)
    slopes = {}
    for index, path in enumerate(paths):
        image = pydicom.dcmread(path)
        image.RescaleSlope = slopes[float(image.ImagePositionPatient[2])] = 0.25 * (index + 1)
        image.save_as(path)
    volume = read_dicom(paths)
    factors = np.array([slopes[z] for z in sorted(slopes)])[:, None, None]
    assert volume.voxels.dtype == np.float32
    np.testing.assert_allclose(volume.voxels, VOXELS * factors - 1024, rtol=1e-6)
    assert (volume.slope, volume.intercept) == (1, 0)


@pytest.mark.parametrize(
    ("tags", "window"),
    [
        ({"WindowCenter": 40, "WindowWidth": 400}, (-160, 239)),  # PS3.3 C.11.2.1.2: 39.5 ± 199.5
        ({"WindowCenter": [40, 300], "WindowWidth": [400, 1500]}, (-160, 239)),
        ({"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": "LINEAR_EXACT"}, (-160, 240)),
        ({"WindowCenter": 0.5, "WindowWidth": 1}, (0, 0)),
        ({"WindowCenter": 40, "WindowWidth": 0}, None),
        ({"WindowCenter": 40}, None),
        ({"WindowCenter": None, "WindowWidth": None}, None),
    ],
)
def test_windows(tmp_path: Path, tags: dict[str, Any], window: tuple[float, float] | None) -> None:
    assert read_dicom(_series(tmp_path, VOXELS[:2], **tags)).file_window == window


def test_the_middle_slice_gives_the_window(tmp_path: Path) -> None:
    for z, pixels in enumerate(VOXELS):
        image = _dataset(pixels, InstanceNumber=z, WindowCenter=100 * z + 0.5, WindowWidth=11)
        image.save_as(tmp_path / f"{z}.dcm")
    assert read_dicom(sorted(tmp_path.iterdir())).file_window == (195, 205)


def test_monochrome1(tmp_path: Path) -> None:
    assert not read_dicom(_series(tmp_path)).inverted
    assert read_dicom(_series(tmp_path, PhotometricInterpretation="MONOCHROME1")).inverted


def test_several_series_are_listed(tmp_path: Path) -> None:
    paths = _series(tmp_path)
    other = pydicom.dcmread(paths[1])
    other.SeriesInstanceUID = "9.8.7"
    other.save_as(paths[1])
    for read in (read_dicom, dicom_shape):
        with pytest.raises(CaseError, match=r"2 volumes.*--volume") as caught:
            read(paths)
        assert "1: series 1.2.3 (3 images)" in str(caught.value)
        assert "2: series 9.8.7 (1 image)" in str(caught.value)


def test_other_files_in_the_folder_are_left_out(tmp_path: Path) -> None:
    paths = _series(tmp_path)
    report = _dataset(VOXELS[0])
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(report, keyword)
    report.SeriesInstanceUID = "5.5"
    report.save_as(tmp_path / "report")
    (tmp_path / "notes.txt").write_text("hello" * 100)
    everything = [*paths, tmp_path / "notes.txt", tmp_path / "report"]
    assert np.array_equal(read_dicom(everything).voxels, VOXELS)
    assert dicom_shape(everything) == VOXELS.shape
    with pytest.raises(CaseError, match="holds no DICOM images"):
        read_dicom([tmp_path / "notes.txt", tmp_path / "report"])


def test_an_empty_dcm_is_not_left_out(tmp_path: Path) -> None:
    paths = _series(tmp_path)
    paths[2].write_bytes(b"")
    with pytest.raises(CaseError, match=rf"{paths[2].name}: is not a DICOM file"):
        read_dicom(paths)


def test_slices_of_two_sizes(tmp_path: Path) -> None:
    paths = _series(tmp_path)
    _dataset(
        VOXELS[0, :3],
        InstanceNumber=1,
        ImagePositionPatient=[0, 0, 99],
        ImageOrientationPatient=AXIAL,
    ).save_as(paths[0])
    with pytest.raises(CaseError, match=r"1\.dcm: holds 5x3 pixels, but 4\.dcm 5x6 pixels"):
        read_dicom(paths)


def test_a_file_without_preamble(tmp_path: Path) -> None:
    image = _dataset(VOXELS[0])
    image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    bare = Dataset()
    bare.update(image)
    pydicom.dcmwrite(
        tmp_path / "p.dcm", bare, implicit_vr=True, little_endian=True, enforce_file_format=False
    )
    assert (tmp_path / "p.dcm").read_bytes()[:2] == b"\x08\0"
    assert np.array_equal(read_dicom([tmp_path / "p.dcm"]).voxels, VOXELS[:1])


def test_frames_of_one_file(tmp_path: Path) -> None:
    image = _dataset(VOXELS, NumberOfFrames=4, WindowCenter=40, WindowWidth=400)
    image.save_as(tmp_path / "p.dcm")
    volume = read_dicom([tmp_path / "p.dcm"])
    assert np.array_equal(volume.voxels, VOXELS)
    assert volume.affine is None
    assert volume.file_window == (-160, 239)
    assert dicom_shape([tmp_path / "p.dcm"]) == (4, 6, 5)


@pytest.mark.parametrize("counted", [0, 1, 3, 4])
def test_frames_that_the_header_does_not_count_are_said(tmp_path: Path, counted: int) -> None:
    _dataset(VOXELS, NumberOfFrames=counted).save_as(tmp_path / "p.dcm")
    volume = read_dicom([tmp_path / "p.dcm"])
    left = 4 - max(counted, 1)
    assert np.array_equal(volume.voxels, VOXELS[: 4 - left])
    lines = [line for line in volume.warnings if "more images than its header counts" in line]
    assert len(lines) == (left > 0)
    assert all(f"p.dcm: its pixels are those of {left} more" in line for line in lines)


def _item(**tags: Any) -> Dataset:
    item = Dataset()
    for keyword, value in tags.items():
        setattr(item, keyword, Sequence([value]) if isinstance(value, Dataset) else value)
    return item


def test_enhanced_files_keep_their_numbers_in_functional_groups(tmp_path: Path) -> None:
    image = _dataset(VOXELS, NumberOfFrames=4)
    image.SharedFunctionalGroupsSequence = Sequence(
        [
            _item(
                PlaneOrientationSequence=_item(ImageOrientationPatient=AXIAL),
                PixelMeasuresSequence=_item(PixelSpacing=[0.5, 0.75], SliceThickness=2.5),
                FrameVOILUTSequence=_item(WindowCenter=40, WindowWidth=400),
            )
        ]
    )
    image.PerFrameFunctionalGroupsSequence = Sequence(
        [
            _item(
                PlanePositionSequence=_item(ImagePositionPatient=[-10, -20, 30 + 2.5 * z]),
                PixelValueTransformationSequence=_item(RescaleSlope=z + 1, RescaleIntercept=5),
            )
            for z in range(4)
        ]
    )
    image.save_as(tmp_path / "p.dcm")
    volume = read_dicom([tmp_path / "p.dcm"])
    np.testing.assert_allclose(
        volume.voxels, VOXELS * np.arange(1, 5, dtype=np.float32)[:, None, None] + 5
    )
    expected = [[-0.75, 0, 0, 10], [0, -0.5, 0, 20], [0, 0, 2.5, 30], [0, 0, 0, 1]]
    assert volume.affine is not None
    np.testing.assert_allclose(volume.affine, expected)  # type: ignore[arg-type]
    assert volume.file_window == (-160, 239)


def test_colour_becomes_grey(tmp_path: Path) -> None:
    colour = np.zeros((6, 5, 3), np.uint8)
    colour[1, 2] = (255, 0, 0)
    colour[3, 4] = (0, 255, 0)
    _dataset(colour).save_as(tmp_path / "p.dcm")
    voxels = read_dicom([tmp_path / "p.dcm"]).voxels
    assert voxels.shape == (1, 6, 5)
    assert (voxels[0, 1, 2], voxels[0, 3, 4], int(voxels.sum())) == (76, 150, 226)


def test_a_compressed_series(tmp_path: Path) -> None:
    for path in _series(tmp_path):
        image = pydicom.dcmread(path)
        image.compress(RLELossless)
        image.save_as(path)
    assert np.array_equal(read_dicom(sorted(tmp_path.iterdir())).voxels, VOXELS)


def test_a_codec_that_is_missing_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pydicom.pixels.decoders.base import Decoder

    monkeypatch.setattr(Decoder, "is_available", property(lambda self: False))
    image = _dataset(VOXELS[0])
    image.compress(RLELossless)
    image.file_meta.TransferSyntaxUID = JPEGLSLossless
    image.save_as(tmp_path / "p.dcm")
    with pytest.raises(CaseError, match=r"p\.dcm: is compressed as JPEG-LS.*fastcam\[dicom\]"):
        read_dicom([tmp_path / "p.dcm"])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.95])
def test_truncated_files_are_named(tmp_path: Path, share: float) -> None:
    paths = _series(tmp_path, np.tile(VOXELS, (1, 10, 10)))
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CaseError, match=paths[1].name) as caught:
        read_dicom(paths)
    assert "\n" not in str(caught.value)


def test_what_is_no_dicom(tmp_path: Path) -> None:
    (tmp_path / "p.dcm").write_bytes(b"hello" * 100)
    for name in ("p.dcm", "missing.dcm"):
        with pytest.raises(CaseError, match=f"{name}: is not a DICOM file"):
            read_dicom([tmp_path / name])


def test_headers_that_make_no_sense(tmp_path: Path) -> None:
    image = _dataset(VOXELS[0])
    del image.Columns
    image.save_as(tmp_path / "p.dcm")
    for read in (read_dicom, dicom_shape):
        with pytest.raises(CaseError, match=r"p\.dcm: "):
            read([tmp_path / "p.dcm"])


def test_pixels_that_fit_no_header(tmp_path: Path) -> None:
    image = _dataset(VOXELS[0])
    del image.BitsAllocated
    image.save_as(tmp_path / "a.dcm")
    image = _dataset(
        VOXELS[0], PixelSpacing=[1], ImageOrientationPatient=AXIAL, ImagePositionPatient=[0, 0, 0]
    )
    image.save_as(tmp_path / "b.dcm")
    for name in ("a.dcm", "b.dcm"):
        with pytest.raises(CaseError, match=name):
            read_dicom([tmp_path / name])
