from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fastcam.errors import CaseError
from fastcam.read.volumes import itk
from fastcam.read.volumes.volumes import open_volume, volume_shape

ZYX = np.random.default_rng(0).integers(0, 256, (3, 12, 17), np.uint8)


def _write(folder: Path, kind: str) -> Path:
    path = folder / f"p{kind}"
    if kind in (".nii", ".nii.gz"):
        nib.save(nib.Nifti1Image(ZYX.T, np.diag([1, 2, 3, 1])), path)
    elif kind == ".npy":
        np.save(path, ZYX)
    elif kind == ".npz":
        np.savez(path, ZYX)
    elif kind == ".tif":
        pages = [Image.fromarray(page) for page in ZYX]
        pages[0].save(path, save_all=True, append_images=pages[1:])
    elif kind == ".dcm":
        image = pydicom.FileDataset("", {}, file_meta=pydicom.dataset.FileMetaDataset())
        image.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        image.SOPClassUID, image.SOPInstanceUID = pydicom.uid.CTImageStorage, "1.2.3"
        image.NumberOfFrames, image.Rows, image.Columns = ZYX.shape
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit = 8, 8, 7
        image.PixelRepresentation, image.PixelData = 0, ZYX.tobytes()
        image.save_as(path, enforce_file_format=True)
    else:
        path = folder / "p"
        inner = path / "study" / "scan_JPG" if kind == "/nested" else path
        inner.mkdir(parents=True)
        for index, page in enumerate(ZYX):
            Image.fromarray(page).save(inner / f"slice{index + 8}.png")
    return path


@pytest.mark.parametrize(
    "kind", [".nii", ".nii.gz", ".npy", ".npz", ".tif", ".dcm", "/", "/nested"]
)
def test_every_kind_gives_the_same_volume(tmp_path: Path, kind: str) -> None:
    path = _write(tmp_path, kind)
    volume = open_volume(path)
    assert np.array_equal(volume.voxels, ZYX)
    assert volume.voxels.dtype == np.uint8
    assert volume.window == pytest.approx(np.percentile(ZYX, [0.5, 99.5]))
    assert (volume.affine is not None) == (kind in (".nii", ".nii.gz"))
    assert volume_shape(path) == ZYX.shape


@pytest.mark.parametrize("kind", [".nii", ".npy"])
def test_axes_turn_arrays_only(tmp_path: Path, kind: str) -> None:
    path = _write(tmp_path, kind)
    expected = ZYX.T if kind == ".npy" else ZYX
    assert np.array_equal(open_volume(path, "xyz").voxels, expected)
    assert volume_shape(path, "xyz") == expected.shape


def test_shapes_need_no_voxels(tmp_path: Path) -> None:
    path = _write(tmp_path, ".nii")
    path.write_bytes(path.read_bytes()[:400])
    assert volume_shape(path) == ZYX.shape
    with pytest.raises(CaseError, match="is truncated"):
        open_volume(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [".nii", ".nii.gz", ".npy", ".npz", ".tif", ".dcm"])
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_file_is_a_case_error_or_a_volume(
    tmp_path: Path, kind: str, data: st.DataObject
) -> None:
    path = tmp_path / f"p{kind}"
    if not path.exists():
        _write(tmp_path, kind)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        # Headers, where damage does most, lie in the first few hundred bytes.
        at = data.draw(st.integers(0, min(len(whole) - 1, 400)) | st.integers(0, len(whole) - 1))
        damaged[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    bad = tmp_path / f"bad{kind}"
    bad.write_bytes(damaged)
    messages = []
    for read in (volume_shape, open_volume):
        try:
            read(bad)
        except CaseError as error:
            messages.append(str(error))
    assert all(str(tmp_path) in message and "\n" not in message for message in messages)


def test_unknown_kinds_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "p.xyz").write_bytes(b"")
    for read in (open_volume, volume_shape):
        with pytest.raises(CaseError, match=r"p\.xyz: is of no kind known here; use \.nii\.gz"):
            read(tmp_path / "p.xyz")
        with pytest.raises(CaseError, match="gone"):
            read(tmp_path / "gone.nii.gz")


def test_without_simpleitk_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    for read in (open_volume, volume_shape):
        with pytest.raises(CaseError, match=r"p\.nrrd: needs SimpleITK; install fastcam\[itk\]"):
            read(tmp_path / "p.nrrd")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd"])
def test_simpleitk_agrees_with_nibabel(tmp_path: Path, suffix: str) -> None:
    sitk = pytest.importorskip("SimpleITK")
    affine = np.array([[0, 0.5, 0, -3], [-0.6, 0, 0, 4], [0, 0, 2.0, 5], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(ZYX.T, affine), tmp_path / "p.nii")
    sitk.WriteImage(sitk.ReadImage(str(tmp_path / "p.nii")), str(tmp_path / f"p{suffix}"))
    volume = open_volume(tmp_path / f"p{suffix}")
    assert np.array_equal(volume.voxels, ZYX)
    assert volume.affine is not None
    np.testing.assert_allclose(volume.affine, affine, atol=1e-5)
    assert itk.itk_shape(tmp_path / f"p{suffix}") == ZYX.shape
    (tmp_path / f"q{suffix}").write_bytes(b"hello")
    with pytest.raises(CaseError, match=f"q{suffix}: can't be read"):
        open_volume(tmp_path / f"q{suffix}")


def test_importing_the_readers_loads_no_decoder() -> None:
    code = (
        "import sys; from fastcam.read.volumes import masks, frames, orientation;"
        "heavy = {'nibabel', 'pydicom', 'PIL', 'torch', 'SimpleITK', 'isal'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
