"""Maps as DICOM, beside the series they were made of: read back by pydicom alone."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pydicom
import pytest
import torch
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from torch.nn.functional import interpolate

from fastcam.api import export
from fastcam.errors import InputError
from fastcam.read.inputs.inputs import Item
from fastcam.read.volumes.volumes import open_volume
from fastcam.store.maps import MapStore
from fastcam.store.new_maps import create_maps

from ... import sample_map_stores

# Of an oblique series: directions of a row and of a column, and the step between slices.
ROW, COLUMN = np.array([0.8, 0.6, 0.0]), np.array([-0.36, 0.48, 0.8])
STEP = 2.5 * np.cross(ROW, COLUMN)
START = np.array([-40.0, 12.0, 7.0])
# What an MR image must have and must fill (types 1 and 1C in the modules of PS3.3 A.4), as far as
# the series here has it.
MUST_BE_FILLED = {
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"),
    *("FrameOfReferenceUID", "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing"),
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PixelRepresentation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelData"),
}
# Type 2 in the Patient and General Study modules: an object must have them, empty or not.
MAY_BE_EMPTY = {
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"),
    *("StudyID", "AccessionNumber", "ReferringPhysicianName"),
}


def write_series(folder: Path, placed: bool = True, study: str = "") -> Path:
    """An MR series of madestores.VOLUME, its files named against their order."""
    folder.mkdir(parents=True)
    depth, height, width = sample_map_stores.VOLUME
    uids = {name: study or generate_uid() for name in ("study", "series", "frame")}
    for z in range(depth):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = MRImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        image = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
        image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        image.StudyInstanceUID, image.SeriesInstanceUID = uids["study"], uids["series"]
        image.PatientName, image.PatientID = "Doe^Jane", "0815"
        image.PatientBirthDate, image.PatientSex = "19700101", "F"
        image.StudyDate, image.StudyTime, image.StudyID = "20261121", "120000", "1"
        image.AccessionNumber, image.ReferringPhysicianName = "", ""
        image.Modality, image.SeriesNumber, image.InstanceNumber = "MR", 3, depth - z
        image.Rows, image.Columns, image.SamplesPerPixel = height, width, 1
        image.PhotometricInterpretation, image.PixelRepresentation = "MONOCHROME2", 0
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit = 15
        if placed:
            image.FrameOfReferenceUID = uids["frame"]
            image.ImageOrientationPatient = [*ROW, *COLUMN]
            image.ImagePositionPatient = [f"{v:.6f}" for v in START + z * STEP]
            image.PixelSpacing = [0.5, 0.75]  # and no SliceThickness, as some series
        image.PixelData = np.full((height, width), z, np.uint16).tobytes()
        image.save_as(folder / f"{depth - z}.dcm")
    return folder


def dicom_store(folder: Path, placed: bool = True) -> MapStore:
    """``v0``, a DICOM series, with a map at half its resolution."""
    series = write_series(folder / "images" / "v0", placed)
    attrs = sample_map_stores.attrs_of(folder / "images", 3, size=[8, 8, 8])
    store = create_maps(folder / "run.zarr", attrs, [Item("v0", "", series, None, "1")], 1)
    maps = {"gradcam/f": np.random.default_rng(1).random((1, 5, 8, 6), dtype=np.float32)}
    affine = open_volume(series).affine
    known = None if affine is None else affine[np.newaxis]
    store.append(0, sample_map_stores.answers(1, maps, sample_map_stores.VOLUME, affine=known))
    return store


def test_frames_lie_where_the_slices_of_the_series_lie(tmp_path: Path) -> None:
    store = dicom_store(tmp_path)
    report = export.export(store.path, output_dir=tmp_path / "out", format="dcm")
    assert (report.written, report.exit_code) == (["v0_gradcam_f.dcm"], 0)
    made = pydicom.dcmread(tmp_path / "out" / "v0_gradcam_f.dcm")
    assert made.SOPClassUID == "1.2.840.10008.5.1.4.1.1.30"  # Parametric Map Storage
    slices = [pydicom.dcmread(path) for path in (tmp_path / "images" / "v0").iterdir()]
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert made[keyword].value == slices[0][keyword].value
    assert made.SeriesInstanceUID != slices[0].SeriesInstanceUID
    assert made.SeriesDescription == "gradcam_f"
    shared = made.SharedFunctionalGroupsSequence[0]
    assert np.allclose(shared.PixelMeasuresSequence[0].PixelSpacing, [0.5, 0.75])
    assert np.allclose(
        shared.PlaneOrientationSequence[0].ImageOrientationPatient, [*ROW, *COLUMN], atol=1e-6
    )
    values = torch.from_numpy(store.map("gradcam/f", 0))[None, None]
    large = interpolate(values, sample_map_stores.VOLUME, mode="trilinear", align_corners=False)[
        0, 0
    ]
    depth, height, width = sample_map_stores.VOLUME
    frames = np.frombuffer(made.FloatPixelData, "<f4").reshape(depth, height, width)
    groups = made.PerFrameFunctionalGroupsSequence
    for frame, group in zip(frames, groups, strict=True):
        place = group.PlanePositionSequence[0].ImagePositionPatient
        (here,) = [
            image for image in slices if np.allclose(image.ImagePositionPatient, place, atol=1e-3)
        ]
        z = int(here.pixel_array[0, 0])
        assert np.allclose(frame, large[z].numpy(), atol=1e-6)
    again = export.export(store.path, output_dir=tmp_path / "out", format="dcm")
    assert (again.written, again.already) == ([], ["v0_gradcam_f.dcm"])


def strip(series: Path, keywords: set[str] | None = None) -> None:
    """Take attributes out of a series; by default all but those that must be filled."""
    for path in series.iterdir():
        image = pydicom.dcmread(path)
        for element in list(image):
            if element.keyword in keywords if keywords else element.keyword not in MUST_BE_FILLED:
                del image[element.tag]
        image.save_as(path)


@pytest.mark.parametrize("gone", [*sorted(MAY_BE_EMPTY), ""])
def test_anonymised_series(tmp_path: Path, gone: str) -> None:
    """Without one attribute, and without all that may be left out or empty."""
    store = dicom_store(tmp_path)
    export.export(store.path, output_dir=tmp_path / "full", format="dcm")
    strip(tmp_path / "images" / "v0", {gone} if gone else None)
    report = export.export(store.path, output_dir=tmp_path / "out", format="dcm")
    assert (report.written, report.failures) == (["v0_gradcam_f.dcm"], [])
    full, made = (pydicom.dcmread(tmp_path / name / "v0_gradcam_f.dcm") for name in ("full", "out"))
    for keyword in MAY_BE_EMPTY:
        if keyword == gone or not gone:
            assert made[keyword].is_empty
        else:
            assert made[keyword].value == full[keyword].value
    assert made.StudyInstanceUID == full.StudyInstanceUID
    assert made.FloatPixelData == full.FloatPixelData
    assert made.PerFrameFunctionalGroupsSequence == full.PerFrameFunctionalGroupsSequence


def test_what_is_no_dicom_is_said(tmp_path: Path) -> None:
    store = sample_map_stores.volume_store(tmp_path)
    report = export.export(store.path, output_dir=tmp_path / "out", format="dcm")
    assert report.exit_code == 1
    assert "is not a DICOM series, so its maps become NIfTI only" in report.failures[0].reason
    assert not list((tmp_path / "out").glob("*.dcm"))


def test_a_series_without_positions_is_said(tmp_path: Path) -> None:
    store = dicom_store(tmp_path, placed=False)
    report = export.export(store.path, output_dir=tmp_path / "out", format="dcm")
    assert "says nothing of positions" in report.failures[0].reason


def test_images_and_a_missing_library_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    flat = sample_map_stores.image_store(tmp_path / "flat")
    with pytest.raises(InputError, match="format dcm is for volumes"):
        export.export(flat.path, output_dir=tmp_path / "out", format="dcm")
    store = sample_map_stores.volume_store(tmp_path)
    with (
        mock.patch.dict(sys.modules, {"highdicom": None}),
        pytest.raises(InputError, match=r"install fastcam\[dicom\]"),
    ):
        export.export(store.path, output_dir=tmp_path / "out", format="dcm")
    assert not (tmp_path / "out").exists()
