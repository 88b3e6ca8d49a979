"""Volumes that would take more memory than a run may have: refused by their headers."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from fastcam.errors import CaseError
from fastcam.read.volumes.memory_limit import (
    MemoryLimit,
    call_limited,
    current_limit,
    limited,
    size_text,
)
from fastcam.read.volumes.volumes import open_volume

_SHAPE = (64, 256, 256)  # z, y, x: 8 MiB of int16
_VOXELS = np.broadcast_to(np.arange(256, dtype=np.int16), _SHAPE)


def _nifti(folder: Path) -> Path:
    path = folder / "case.nii.gz"
    nib.save(nib.Nifti1Image(_VOXELS.T.copy(), np.eye(4)), path)
    return path


def _turned_nifti(folder: Path) -> Path:
    path = folder / "case.nii.gz"
    header = nib.Nifti1Header(endianness=">")
    nib.save(nib.Nifti1Image(_VOXELS.T.copy(), np.eye(4), header), path)
    return path


def _array(folder: Path) -> Path:
    np.save(folder / "case.npy", _VOXELS)
    return folder / "case.npy"


def _archive(folder: Path) -> Path:
    np.savez_compressed(folder / "case.npz", voxels=_VOXELS)
    return folder / "case.npz"


def _itk(folder: Path) -> Path:
    itk = pytest.importorskip("SimpleITK")
    itk.WriteImage(itk.GetImageFromArray(_VOXELS), str(folder / "case.nrrd"), True)
    return folder / "case.nrrd"


def _pages(folder: Path) -> Path:
    pages = [Image.fromarray(layer.astype(np.uint16)) for layer in _VOXELS]
    pages[0].save(folder / "case.tif", save_all=True, append_images=pages[1:])
    return folder / "case.tif"


def _dicom(folder: Path) -> Path:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    series = generate_uid()
    (folder / "case").mkdir()
    for number, layer in enumerate(_VOXELS):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        image = FileDataset(str(number), {}, file_meta=meta, preamble=b"\0" * 128)
        image.SOPClassUID = CTImageStorage
        image.SOPInstanceUID, image.SeriesInstanceUID = meta.MediaStorageSOPInstanceUID, series
        image.Modality, image.InstanceNumber = "CT", number + 1
        image.Rows, image.Columns = layer.shape
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
        image.PixelRepresentation, image.PixelData = 1, layer.tobytes()
        image.save_as(folder / "case" / f"{number:03}.dcm", enforce_file_format=True)
    return folder / "case"


WRITERS = (_nifti, _turned_nifti, _array, _archive, _itk, _pages, _dicom)


@pytest.mark.parametrize("write", WRITERS)
def test_a_volume_that_can_not_fit_is_not_decoded(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    path = write(tmp_path)
    with limited(MemoryLimit(16 << 20, 2)):
        tracemalloc.start()
        with pytest.raises(CaseError) as raised:
            open_volume(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4 << 20  # of 8 MiB
    text = str(raised.value)
    assert text.startswith(f"{path}: would take ")
    assert "\n" not in text
    assert "--max-memory 16MiB, shared by 2 processes" in text
    assert "--workers" in text
    # What was promised too little of would be refused by the same line.
    with limited(MemoryLimit(64 << 20)):
        assert open_volume(path).voxels.shape == _SHAPE
    assert current_limit() is None
    assert open_volume(path).voxels.shape == _SHAPE


def test_a_worker_is_given_the_limit_of_its_run() -> None:
    def seen(_: Any) -> MemoryLimit | None:
        return current_limit()

    limit = MemoryLimit(1000, 3)
    assert limit.share == 333
    assert call_limited(limit, seen, None) == limit
    assert call_limited(None, seen, None) is None
    with limited(MemoryLimit(5)), pytest.raises(KeyError), limited(limit):
        raise KeyError
    assert current_limit() is None


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0bytes"), (1000, "1e+03bytes"), (1024, "1KiB"), (3 << 29, "1.5GiB")],
)
def test_sizes_are_written_short(count: int, text: str) -> None:
    assert size_text(count) == text
