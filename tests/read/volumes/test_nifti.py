from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from fastcam.errors import CaseError
from fastcam.read.volumes import nifti
from fastcam.read.volumes.nifti import nifti_grid, nifti_shape, read_nifti

AFFINE = np.array([[0.5, 0.1, 0, -3], [0, 0.6, 0.2, 4], [0, 0, 2.0, 5], [0, 0, 0, 1.0]])


def _save(path: Path, array: np.ndarray, kind: type = nib.Nifti1Image, **header: float) -> Path:
    image = kind(array, AFFINE)
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, path)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8", "i8", ">i2", ">f4"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_voxels_are_the_transpose_of_nibabels(
    tmp_path: Path, suffix: str, dtype: str, kind: type[nib.Nifti1Image]
) -> None:
    array = np.random.default_rng(0).integers(0, 120, (5, 4, 3)).astype(dtype)
    header = kind.header_class(endianness=">" if dtype[0] == ">" else "<")
    header.set_data_dtype(dtype)
    path = tmp_path / f"p{suffix}"
    nib.save(kind(array, AFFINE, header), path)

    volume = read_nifti(path)

    assert np.array_equal(volume.voxels, np.asarray(kind.from_filename(path).dataobj).T)
    assert volume.voxels.dtype == np.dtype(dtype).newbyteorder("=")
    assert volume.voxels.flags.c_contiguous
    assert volume.voxels.flags.writeable
    assert volume.affine is not None
    np.testing.assert_allclose(volume.affine, kind.from_filename(path).affine)
    assert nifti_shape(path) == (3, 4, 5)
    assert volume.file_window is None


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_voxels_are_read_in_pieces(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nifti, "_READ_BYTES", 7)
    array = np.random.default_rng(0).integers(-900, 900, (5, 4, 3)).astype(np.int16)
    path = _save(tmp_path / f"p{suffix}", array)
    assert np.array_equal(read_nifti(path).voxels, array.T)


def test_scaling_and_window_are_told_not_applied(tmp_path: Path) -> None:
    array = np.linspace(-7, 9, 60).reshape(5, 4, 3)
    image = nib.Nifti1Image(array, AFFINE)
    image.set_data_dtype(np.int16)
    image.header["cal_min"], image.header["cal_max"] = -5, 6
    nib.save(image, tmp_path / "p.nii.gz")
    volume = read_nifti(tmp_path / "p.nii.gz")
    assert volume.voxels.dtype == np.int16
    np.testing.assert_allclose(volume.voxels * volume.slope + volume.intercept, array.T, atol=1e-3)
    assert volume.file_window == (-5, 6)


def test_extensions_before_the_voxels_are_skipped(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(5, 4, 3), AFFINE)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 1000))
    nib.save(image, tmp_path / "p.nii.gz")
    assert read_nifti(tmp_path / "p.nii.gz").voxels[0, 0].tolist() == [0, 12, 24, 36, 48]


def test_an_offset_of_zero_means_after_the_header(tmp_path: Path) -> None:
    array = np.arange(60, dtype=np.int16).reshape(5, 4, 3)
    path = _save(tmp_path / "p.nii", array)
    data = bytearray(path.read_bytes())
    data[108:112] = bytes(4)  # vox_offset
    path.write_bytes(data)
    assert np.array_equal(read_nifti(path).voxels, array.T)


def test_four_axes_with_one_frame_and_two_axes(tmp_path: Path) -> None:
    one = _save(tmp_path / "a.nii", np.zeros((5, 4, 3, 1), np.uint8))
    flat = _save(tmp_path / "b.nii", np.zeros((5, 4), np.uint8))
    many = _save(tmp_path / "c.nii", np.zeros((5, 4, 3, 2), np.uint8))
    assert read_nifti(one).voxels.shape == nifti_shape(one) == (3, 4, 5)
    assert read_nifti(flat).voxels.shape == nifti_shape(flat) == (1, 4, 5)
    for read in (read_nifti, nifti_shape):
        with pytest.raises(CaseError, match=r"c\.nii: has shape \(5, 4, 3, 2\)"):
            read(many)


def test_colour_becomes_grey(tmp_path: Path) -> None:
    rgb = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    array = np.zeros((5, 4, 3), rgb)
    array["R"][2, 1, 0] = 255
    array["G"][3, 1, 0] = 255
    volume = read_nifti(_save(tmp_path / "p.nii.gz", array))
    assert volume.voxels.shape == (3, 4, 5)
    assert (volume.voxels[0, 1, 2], volume.voxels[0, 1, 3]) == (76, 150)


def test_complex_voxels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"p\.nii: holds values of type complex64"):
        read_nifti(_save(tmp_path / "p.nii", np.zeros((2, 2, 2), np.complex64)))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_truncated_files_are_named(tmp_path: Path, suffix: str, share: float) -> None:
    array = np.random.default_rng(0).integers(0, 255, (20, 20, 20), np.uint8)
    path = _save(tmp_path / f"p{suffix}", array)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CaseError, match=rf"p\{suffix}: "):
        read_nifti(path)


def test_a_flipped_bit_is_found_by_the_checksum(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (100, 100, 50), np.uint8)
    path = _save(tmp_path / "p.nii.gz", noise)
    data = bytearray(path.read_bytes())
    data[-6] ^= 1  # in the stored CRC
    path.write_bytes(data)
    with pytest.raises(CaseError, match=r"p\.nii\.gz: can't be read"):
        read_nifti(path)


def test_a_file_of_several_gzip_members_is_one_volume(tmp_path: Path) -> None:
    # As bgzip and parallel writers make them. 9 MB: more than is read at once.
    noise = np.random.default_rng(0).integers(0, 3000, (200, 150, 150), np.int16)
    whole = _save(tmp_path / "p.nii", noise).read_bytes()
    parts = [whole[:100], whole[100:500_001], whole[500_001:5_000_000], whole[5_000_000:]]
    path = tmp_path / "q.nii.gz"
    path.write_bytes(b"".join(gzip.compress(part, 1) for part in parts))
    assert np.array_equal(read_nifti(path).voxels, noise.T)
    # Each of them has a checksum.
    data = bytearray(path.read_bytes())
    data[len(gzip.compress(parts[0], 1)) + len(gzip.compress(parts[1], 1)) - 6] ^= 1
    path.write_bytes(data)
    with pytest.raises(CaseError, match=r"q\.nii\.gz: can't be read"):
        read_nifti(path)


def test_damaged_deflate_blocks_are_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 9, (100, 100, 20), np.uint8)
    path = _save(tmp_path / "p.nii.gz", noise)
    data = bytearray(path.read_bytes())
    for at in range(3000, len(data) - 100, 1000):
        data[at : at + 8] = bytes(8)
    path.write_bytes(data)
    with pytest.raises(CaseError, match=r"p\.nii\.gz: "):
        read_nifti(path)


def test_a_header_of_another_format_is_not_believed(tmp_path: Path) -> None:
    path = _save(tmp_path / "p.nii", np.zeros((5, 4, 3), np.uint8))
    data = bytearray(path.read_bytes())
    data[344:348] = b"ni1\0"
    path.write_bytes(data)
    with pytest.raises(CaseError, match=r"p\.nii: is not a single-file NIfTI"):
        read_nifti(path)


def test_what_is_no_nifti(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(b"hello" * 200)
    (tmp_path / "b.nii.gz").write_bytes(b"hello" * 200)
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(b"hello" * 200))
    (tmp_path / "d.nii").mkdir()
    for name in ("a.nii", "b.nii.gz", "c.nii.gz", "d.nii", "missing.nii.gz"):
        with pytest.raises(CaseError, match=name) as caught:
            read_nifti(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_header_that_promises_terabytes_asks_for_no_memory(tmp_path: Path) -> None:
    path = _save(tmp_path / "p.nii.gz", np.zeros((2, 2, 2), np.uint8))
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[42:48] = np.array([32767] * 3, "<i2").tobytes()
    path.write_bytes(gzip.compress(bytes(data)))
    with pytest.raises(CaseError, match="is truncated"):
        read_nifti(path)


@pytest.mark.parametrize("sform_code", [0, 1, 2])
@pytest.mark.parametrize("qform_code", [0, 1])
@pytest.mark.parametrize("apart", [0.0, 0.09, 0.11, 30.0])
def test_sform_and_qform(tmp_path: Path, sform_code: int, qform_code: int, apart: float) -> None:
    affine, other = np.diag([0.5, 0.6, 2.0, 1.0]), np.diag([0.5, 0.6, 2.0, 1.0])
    other[1, 3] = apart
    image = nib.Nifti1Image(np.zeros((5, 4, 3), np.uint8), affine)
    image.set_sform(affine, sform_code)
    image.set_qform(other, qform_code)
    nib.save(image, tmp_path / "p.nii")
    volume = read_nifti(tmp_path / "p.nii")
    assert volume.affine is not None
    assert np.array_equal(volume.affine, nib.Nifti1Image.from_filename(tmp_path / "p.nii").affine)
    assert volume.placed == (sform_code + qform_code > 0)
    grid = nifti_grid(tmp_path / "p.nii")
    assert grid.shape == volume.grid.shape
    assert (grid.affine is None) == (volume.grid.affine is None)
    if sform_code and qform_code and apart > 0.1:
        (warning,) = volume.warnings
        assert str(tmp_path / "p.nii") in warning
        assert f"up to {apart:.3g} mm" in warning
    else:
        assert volume.warnings == ()


def test_the_largest_distance_of_sform_and_qform_is_told(tmp_path: Path) -> None:
    """A stretch of the sform by 1 %, 49 voxels of 0.8 mm and 29 of 2 mm from the first."""
    image = nib.Nifti1Image(np.zeros((50, 4, 30), np.uint8), None)
    image.set_qform(np.diag([0.8, 1.0, 2.0, 1.0]), 1)
    image.set_sform(np.diag([0.8 * 1.01, 1.0, 2.0 * 1.01, 1.0]), 1)
    nib.save(image, tmp_path / "p.nii")
    expected = np.hypot(49 * 0.008, 29 * 0.02)
    assert f"up to {expected:.3g} mm" in read_nifti(tmp_path / "p.nii").warnings[0]


def test_a_qform_that_is_no_turn(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((5, 4, 3), np.uint8), np.eye(4))
    image.set_qform(np.eye(4), 1)
    stored = bytearray(image.to_bytes())
    struct.pack_into("<2f", stored, 256, 0.9, 0.9)  # quatern_b and quatern_c
    for code, kind in ((2, "warning"), (0, "error")):
        struct.pack_into("<h", stored, 254, code)  # sform_code
        path = tmp_path / f"{code}.nii"
        path.write_bytes(stored)
        if kind == "warning":
            assert "qform can't be read" in read_nifti(path).warnings[0]
        else:
            with pytest.raises(CaseError, match="broken qform"):
                read_nifti(path)


@pytest.mark.parametrize(("unit", "word"), [("meter", "meters"), ("micron", "micrometers")])
def test_lengths_in_another_unit_are_said(tmp_path: Path, unit: str, word: str) -> None:
    image = nib.Nifti1Image(np.ones((2, 3, 4), np.int16), np.eye(4))
    for units, count in ((unit, 1), ("mm", 0), ("unknown", 0)):
        image.header.set_xyzt_units(units, "sec")
        nib.save(image, tmp_path / "a.nii")
        told = read_nifti(tmp_path / "a.nii").warnings
        assert len(told) == count
        assert all(word in line for line in told)


def test_a_volume_without_a_finite_value_is_refused(tmp_path: Path) -> None:
    voxels = np.full((3, 4, 5), np.nan, np.float32)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(CaseError, match="none of its 60 values is finite"):
        read_nifti(tmp_path / "a.nii.gz")
    voxels[2, 3, 4] = 1
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "a.nii.gz")
    assert np.isfinite(read_nifti(tmp_path / "a.nii.gz").voxels).sum() == 1
