"""One volume, stored in every way that a file can store it."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import axcodes2ornt, ornt_transform
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

# The 48 orders and directions of the axes, by where they lead: RAS, LPS, SRA ...
CODES = [
    "".join(pair[axis] for pair, axis in zip(permuted, signs, strict=True))
    for permuted in itertools.permutations(("RL", "AP", "SI"))
    for signs in itertools.product((0, 1), repeat=3)
]


def turned(array: np.ndarray, affine: np.ndarray, codes: str) -> nib.Nifti1Image:
    """nibabel's ``array`` (x, y, z) whose axes lead to R, A, S, stored along ``codes``."""
    assert nib.aff2axcodes(affine) == tuple("RAS")
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(tuple(codes)))
    stored = nib.Nifti1Image(array, affine).as_reoriented(turn)
    assert nib.aff2axcodes(stored.affine) == tuple(codes)
    return stored


def save_turned(path: Path, array: np.ndarray, affine: np.ndarray, codes: str) -> None:
    nib.save(turned(array, affine, codes), path)


def save_masks(folder: Path, array: np.ndarray, affine: np.ndarray) -> list[str]:
    """A mask (x, y, z) on its image's own grid and on four others; the names of the files.

    All mark the same voxels, but the last, which lies half a metre away.
    """
    folder.mkdir(parents=True, exist_ok=True)
    halves = np.diag([0.5, 0.5, 1.0, 1.0])
    halves[:2, 3] = -0.25  # the outer faces stay where they are
    away = affine.copy()
    away[:3, 3] += 500
    masks = {
        "same": nib.Nifti1Image(array, affine),
        "flipped": turned(array, affine, "LAS"),
        "permuted": turned(array, affine, "SRA"),
        "halves": nib.Nifti1Image(array.repeat(2, axis=0).repeat(2, axis=1), affine @ halves),
        "away": nib.Nifti1Image(array, away),
    }
    for name, mask in masks.items():
        nib.save(mask, folder / f"{name}.nii.gz")
    return list(masks)


def right_handed(affine: np.ndarray) -> bool:
    """Whether a DICOM series can hold the volume: slices go along rows x columns."""
    return float(np.linalg.det(affine[:3, :3])) > 0


def write_series(folder: Path, voxels: np.ndarray, affine: np.ndarray) -> None:
    """A DICOM series of ``voxels`` (z, y, x), int16; ``affine`` takes (x, y, z, 1) to RAS mm."""
    folder.mkdir(parents=True)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    uids = generate_uid(), generate_uid(), generate_uid()
    for z, pixels in enumerate(voxels):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        image = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = uids
        image.Modality = "CT"
        image.InstanceNumber = len(voxels) - z
        image.ImageOrientationPatient = [
            *(lps[:3, 0] / spacing[0]).tolist(),
            *(lps[:3, 1] / spacing[1]).tolist(),
        ]
        image.ImagePositionPatient = (lps @ [0, 0, z, 1])[:3].tolist()
        image.PixelSpacing = [float(spacing[1]), float(spacing[0])]
        image.SliceThickness = float(spacing[2])
        image.Rows, image.Columns = pixels.shape
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation = 15, 1
        image.PixelData = pixels.astype(np.int16).tobytes()
        image.save_as(folder / f"{len(voxels) - z:03d}.dcm")
