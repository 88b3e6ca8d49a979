"""DICOM files made for tests, classic and enhanced, with pydicom alone."""

from __future__ import annotations

from collections.abc import Sequence as Many
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SERIES = "1.2.3.4"
MR_IMAGE = str(MRImageStorage)


def dataset(pixels: np.ndarray, storage: str = CTImageStorage, **tags: Any) -> FileDataset:
    """An image (y, x), or of frames (z, y, x), with what every file must say."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UID(storage)
    meta.MediaStorageSOPInstanceUID = generate_uid()
    image = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    image.SOPClassUID, image.SOPInstanceUID = UID(storage), meta.MediaStorageSOPInstanceUID
    image.Modality = "CT" if storage == CTImageStorage else "MR"
    image.PatientName, image.PatientID, image.StudyDate = "A", "A", "20200101"
    image.StudyInstanceUID, image.SeriesInstanceUID, image.SeriesNumber = "1.2.3", SERIES, 1
    image.Rows, image.Columns = pixels.shape[-2:]
    if pixels.ndim == 3:
        image.NumberOfFrames = len(pixels)
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = pixels.dtype.itemsize * 8
    image.HighBit = image.BitsStored - 1
    image.PixelRepresentation = int(pixels.dtype.kind == "i")
    image.PixelData = pixels.tobytes()
    for keyword, value in tags.items():
        setattr(image, keyword, value)
    return image


def item(**tags: Any) -> Dataset:
    """An item of a sequence; what is an item or a list of items becomes one itself."""
    made = Dataset()
    for keyword, value in tags.items():
        items = [value] if isinstance(value, Dataset) else value
        nested = isinstance(items, list) and items and isinstance(items[0], Dataset)
        setattr(made, keyword, Sequence(items) if nested else value)
    return made


def table(descriptor: Many[int], entries: Many[int], words: str = "US", **tags: Any) -> Sequence:
    """The sequence of a Modality or VOI LUT; ``words`` "OW": its entries as bytes."""
    made = item(LUTDescriptor=list(descriptor), **tags)
    if words == "OW":
        made.add_new("LUTData", "OW", np.array(entries, "<u2").tobytes())
    else:
        made.add_new("LUTData", "US", list(entries))
    return Sequence([made])


def normal(plane: Many[float]) -> np.ndarray:
    """The direction in which slices ascend."""
    return np.cross(plane[:3], plane[3:])


def place(
    z: float, plane: Many[float] = AXIAL, origin: Many[float] = (-10.0, -20.0, 30.0)
) -> list[float]:
    """The position of a slice ``z`` mm along the normal, as a header may hold it."""
    return [float(f"{value:.10g}") for value in np.array(origin) + z * normal(plane)]


def classic(
    folder: Path,
    voxels: np.ndarray,
    heights: Many[float],
    *,
    plane: Many[float] = AXIAL,
    names: Many[int] | None = None,
    each: Many[dict[str, Any]] = (),
    first: int = 0,
    storage: str = CTImageStorage,
    **tags: Any,
) -> list[Path]:
    """One file a slice, ``heights`` mm along the normal; ``names`` gives the order of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, pixels in enumerate(voxels):
        name = first + (number if names is None else names[number])
        values = {
            "ImageOrientationPatient": list(plane),
            "ImagePositionPatient": place(heights[number], plane),
            "PixelSpacing": [0.5, 0.75],
            "SliceThickness": 2.0,
            "InstanceNumber": name + 1,
        }
        values |= tags | (dict(each[number]) if each else {})
        paths.append(folder / f"{name:03d}.dcm")
        dataset(pixels, storage, **values).save_as(paths[-1])
    return sorted(paths)


def enhanced(
    path: Path,
    voxels: np.ndarray,
    heights: Many[float],
    *,
    plane: Many[float] = AXIAL,
    each: Many[dict[str, Any]] = (),
    shared: dict[str, Any] | None = None,
    **tags: Any,
) -> Path:
    """One file of frames, each with its own position; ``each`` adds to a frame's groups."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = dataset(voxels, EnhancedMRImageStorage, InstanceNumber=1, **tags)
    measures = item(PixelSpacing=[0.5, 0.75], SliceThickness=2.0)
    image.SharedFunctionalGroupsSequence = Sequence(
        [
            item(
                PlaneOrientationSequence=item(ImageOrientationPatient=list(plane)),
                PixelMeasuresSequence=measures,
                **(shared or {}),
            )
        ]
    )
    image.PerFrameFunctionalGroupsSequence = Sequence(
        [
            item(
                PlanePositionSequence=item(ImagePositionPatient=place(height, plane)),
                **(each[number] if each else {}),
            )
            for number, height in enumerate(heights)
        ]
    )
    image.save_as(path)
    return path
