"""What inspect says of NIfTI and DICOM: from their headers, nothing decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError, InputError
from fastcam.jobs.inspect.contents import Inventory
from fastcam.read.volumes.dicom import placed_at
from fastcam.read.volumes.dicom_series import (
    ChosenVolume,
    DicomSeries,
    FrameHeader,
    open_series,
    reading,
)
from fastcam.read.volumes.nifti import NiftiHeader, nifti_header
from fastcam.read.volumes.sources import DICOM_SUFFIXES, is_dicom, is_picture, slice_files
from fastcam.storage.locations import readable

_NIFTI = (".nii", ".nii.gz")
_COLUMNS = ("number", "name", "images", "shape (z, y, x)", "spacing (mm)", "orientation", "slices")
_NO_WINDOW = "none; percentiles 0.5 and 99.5 of the voxels are taken"


def is_volume(path: Path) -> bool:
    """Whether ``path`` is a NIfTI file, a DICOM file, or a folder with DICOM files in it."""
    if path.is_file():
        return path.name.lower().endswith(_NIFTI) or _is_dicom_file(path)
    if not path.is_dir() or (path / "zarr.json").exists():
        return False
    try:
        files = slice_files(path)
    except CaseError:
        return False
    return not is_picture(files[0]) and any(map(is_dicom, files))


def _is_dicom_file(path: Path) -> bool:
    """By its content; without the mark of Part 10 also by its name, for what such files begin with
    may stand in others."""
    with path.open("rb") as stream:
        if stream.read(132)[128:] == b"DICM":
            return True
    return path.suffix.lower() in (*DICOM_SUFFIXES, "") and is_dicom(path)


def describe_volume(path: Path) -> Inventory:
    """What a volume's headers say, of a path that :func:`is_volume`; InputError where damaged."""
    try:
        if path.is_file() and path.name.lower().endswith(_NIFTI):
            return _describe_nifti(path, nifti_header(path))
        return _describe_dicom(path, open_series(slice_files(path) if path.is_dir() else [path]))
    except CaseError as error:
        raise InputError(str(error)) from error


def _describe_nifti(path: Path, header: NiftiHeader) -> Inventory:
    shape, affine = header.grid.shape, header.affine
    kind = "NIfTI volume" if header.count == 1 else f"NIfTI file of {header.count} volumes"
    scaled = (header.slope, header.intercept) != (1.0, 0.0)
    summary = [
        ("shape (z, y, x)", _sizes(shape)),
        ("spacing (mm)", _spacing(affine)),
        ("orientation", _letters(affine)),
        *_affine_rows(affine),
        ("affine from", header.affine_from),
        ("value type", str(header.dtype)),
        ("rescale", f"{header.slope:g} * value + {header.intercept:g}" if scaled else "none"),
        ("window", _window(header.window)),
        ("description", header.description or "none"),
        ("volumes", str(header.count)),
    ]
    table: list[tuple[Any, ...]] = []
    if header.count > 1:
        orientation, spacing = _letters(affine), _spacing(affine)
        table = [
            (number, "", 1, _sizes(shape), spacing, orientation, "even")
            for number in range(1, header.count + 1)
        ]
    notes = [warning.removeprefix(f"{path}: ") for warning in header.warnings]
    if header.count > 1:
        notes.append(f"it holds {header.count} volumes; --volume N, 1 to {header.count}, takes one")
    return Inventory(str(path), kind, summary, _COLUMNS, table, notes=notes)


def _describe_dicom(path: Path, series: DicomSeries) -> Inventory:
    volumes = [_try_choose(series, number) for number in range(1, len(series.volumes) + 1)]
    notes = [*series.warnings]
    table: list[tuple[Any, ...]] = []
    for number, (plan, volume) in enumerate(zip(series.volumes, volumes, strict=True), start=1):
        name, images = plan.name, len(plan.numbers)
        if isinstance(volume, CaseError):
            notes.append(f"volume {number}: {str(volume).removeprefix(f'{series.place}: ')}")
            table.append((number, name, images, "", "", "", "can't be read"))
            continue
        affine = placed_at(volume)
        first = volume.frames[0].numbers
        shape = _sizes((images, *first.size))
        slices = "uneven" if plan.uneven else "even" if plan.step is not None else "not known"
        slices = "one" if images == 1 else slices
        table.append((number, name, images, shape, _spacing(affine), _letters(affine), slices))
        prefix = "" if len(volumes) == 1 else f"volume {number}: "
        own = [text.removeprefix(f"{series.place}: ") for text in volume.warnings]
        notes += [f"{prefix}{text}" for text in own if text not in series.warnings]
    if len(volumes) > 1:
        notes.append(f"it holds {len(volumes)} volumes; --volume N or NAME takes one")
    summary = _dicom_summary(series, volumes)
    kind = "DICOM series" if len(volumes) == 1 else f"DICOM images of {len(volumes)} volumes"
    if len({entry.path for entry in series.frames}) == 1 and len(series.frames) == 1:
        kind = "DICOM image"
    return Inventory(str(path), kind, summary, _COLUMNS, table, notes=notes)


def _try_choose(series: DicomSeries, number: int) -> ChosenVolume | CaseError:
    try:
        return series.choose(str(number))
    except CaseError as error:
        return error


def _dicom_summary(
    series: DicomSeries, volumes: Sequence[ChosenVolume | CaseError]
) -> list[tuple[str, str]]:
    files = list(dict.fromkeys(entry.path for entry in series.frames))
    headers = {entry.path: _full_header(entry) for entry in series.frames if entry.frame == 0}
    first_headers = list(headers.values())
    summary = [
        ("modality", _common(first_headers, "Modality")),
        ("series", _common(first_headers, "SeriesDescription")),
        ("series number", _common(first_headers, "SeriesNumber")),
        ("files", str(len(files))),
        ("images", str(len(series.frames))),
        ("values", ", ".join(dict.fromkeys(map(_value_type, first_headers)))),
        ("volumes", str(len(volumes))),
    ]
    first = next((v for v in volumes if isinstance(v, ChosenVolume)), None)
    if first is not None and len(volumes) == 1:
        middle, affine = first.frames[len(first.frames) // 2].numbers, placed_at(first)
        slope, intercept = middle.rescale
        rescaled = f"{slope:g} * value + {intercept:g}" if (slope, intercept) != (1, 0) else "none"
        summary += [
            ("shape (z, y, x)", _sizes((len(first.frames), *middle.size))),
            ("spacing (mm)", _spacing(affine)),
            ("orientation", _letters(affine)),
            *_affine_rows(affine),
            ("rescale", rescaled),
            ("window", _grey_of(headers[first.frames[0].path], middle.window)),
        ]
    return summary


def _full_header(entry: FrameHeader) -> Any:
    from pydicom import dcmread

    with reading(entry.path):
        return dcmread(readable(entry.path), stop_before_pixels=True, force=True)


def _common(headers: Sequence[Any], keyword: str) -> str:
    """A value of all headers, the commonest first."""
    counts = Counter(str(header.get(keyword) or "none") for header in headers)
    return ", ".join(value for value, _ in counts.most_common(8))


def _value_type(header: Any) -> str:
    bits_allocated, bits_stored = header.get("BitsAllocated"), header.get("BitsStored")
    signed = "signed" if header.get("PixelRepresentation") else "unsigned"
    photometric = header.get("PhotometricInterpretation", "")
    return f"{bits_stored} of {bits_allocated} bits, {signed}, {photometric}"


def _grey_of(header: Any, window: tuple[float, float] | None) -> str:
    tables = [
        name
        for name, keyword in (
            ("a Modality LUT", "ModalityLUTSequence"),
            ("a VOI LUT, which is what is shown", "VOILUTSequence"),
            ("padding, shown black", "PixelPaddingValue"),
        )
        if header.get(keyword) is not None
    ]
    return "; ".join([_window(window), *tables])


def _window(window: tuple[float, float] | None) -> str:
    if window is None:
        return _NO_WINDOW
    low, high = window
    return f"{low:g} to {high:g}"


def _sizes(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _spacing(affine: NDArray[np.float64] | None) -> str:
    """x, y, z; not known without an affine."""
    if affine is None:
        return "not known"
    return " x ".join(f"{length:.4g}" for length in np.linalg.norm(affine[:3, :3], axis=0))


def _letters(affine: NDArray[np.float64] | None) -> str:
    """Where x, y and z grow to, as nibabel writes it: ``RAS`` is right, anterior, superior."""
    if affine is None or not np.isfinite(affine).all():
        return "not known"
    from nibabel.orientations import aff2axcodes

    return "".join(letter or "?" for letter in aff2axcodes(affine))


def _affine_rows(affine: NDArray[np.float64] | None) -> list[tuple[str, str]]:
    """The upper three rows of the affine, voxel (x, y, z) to RAS millimetres."""
    if affine is None:
        return [("affine", "none")]
    rows = [" ".join(f"{value:.6g}" for value in row) for row in affine[:3]]
    return [(f"affine row {name}", row) for name, row in zip("xyz", rows, strict=True)]
