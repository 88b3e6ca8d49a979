"""DICOM: a folder with series, or files of one or many frames. pydicom reads and decodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.read.volumes.dicom_grey import (
    GreyMapping,
    grey_mapping,
    modality_table,
    padding_of,
    with_black_padding,
)
from fastcam.read.volumes.dicom_header import series_of, unit_of
from fastcam.read.volumes.dicom_series import ChosenVolume, open_series, reading
from fastcam.read.volumes.geometry import Grid
from fastcam.read.volumes.memory_limit import check_memory
from fastcam.read.volumes.voxels import LPS_TO_RAS, Volume, luminance, native
from fastcam.storage.locations import readable

# Bytes at the peak for each of the volume's, measured.
_COPIES = 2.0


def read_dicom(paths: Sequence[Path], volume: str | None = None, voi: bool = True) -> Volume:
    """One volume of a case's files as (z, y, x): a series, or the frames of files of many.

    ``volume`` is the number or the name of one of several. Slices are sorted by their position
    along the normal of the image plane, ascending, as SimpleITK does; without positions by
    InstanceNumber, else by file name. Stored values are kept where all slices share one rescale;
    where it differs (PET) it is applied, as float32. The window is the middle slice's first one;
    where that slice has a VOI LUT or a SIGMOID window, the voxels are what these give, unless
    ``voi`` is false. Color becomes grey, padding black.

    CaseError names the volumes where there are several and none was chosen, and the file that
    can't be read.
    """
    selection = open_series(paths).choose(volume)
    pixels = _decoded(selection)
    headers = [entry.numbers for entry in selection.frames]
    voxels, rescales = pixels.voxels, pixels.rescales
    slope, intercept = rescales[0]
    if any(rescale != (slope, intercept) for rescale in rescales):
        factors = np.array(rescales, np.float32)[:, :, None, None]
        voxels = voxels * factors[:, 0] + factors[:, 1]
        slope, intercept = 1.0, 0.0
    middle = len(headers) // 2
    window, mapping = headers[middle].window, pixels.mappings[middle]
    written = headers[middle].written_window
    if mapping is not None and voi:
        mappings = [own or mapping for own in pixels.mappings]
        voxels = _display_levels(voxels, slope, intercept, mappings)
        slope, intercept, window = 1.0, 0.0, (0.0, float(mapping.highest))
        written = None
    decoded = Volume(
        voxels=voxels,
        affine=placed_at(selection),
        slope=slope,
        intercept=intercept,
        file_window=window,
        written_window=written,
        inverted=headers[0].inverted,
        uneven=selection.plan.uneven,
        warnings=(*selection.warnings, *pixels.warnings),
        unit=pixels.unit if mapping is None or not voi else "",
        series=pixels.series,
        modality=pixels.modality,
    )
    return decoded if pixels.padding is None else with_black_padding(decoded, pixels.padding)


def dicom_shape(paths: Sequence[Path], volume: str | None = None) -> tuple[int, int, int]:
    """(z, y, x) from the headers; 0.4 ms a file here, a fifth of what decoding takes."""
    selection = open_series(paths).choose(volume)
    return _shape(selection)


def dicom_grid(paths: Sequence[Path], volume: str | None = None) -> Grid:
    """Where the voxels lie, from the headers."""
    selection = open_series(paths).choose(volume)
    return Grid(_shape(selection), placed_at(selection), selection.plan.uneven)


def read_headers(paths: Sequence[Path], volume: str | None = None) -> list[Any]:
    """The whole headers of a volume's files in the order of its slices, without pixels:
    pydicom's."""
    from pydicom import dcmread

    selection = open_series(paths).choose(volume)
    headers = []
    for path in dict.fromkeys(entry.path for entry in selection.frames):
        with reading(path):
            headers.append(dcmread(readable(path), stop_before_pixels=True, force=True))
    return headers


@dataclass(eq=False)
class _Pixels:
    """The pixels of a volume while they are decoded.

    - ``voxels`` (z, y, x): stored values, those with a Modality LUT through it
    - ``rescales``: (slope, intercept) of each slice
    - ``mappings``: how each slice is shown, where that is no straight window
    - ``padding`` (z, y, x): None where there is none
    - ``unit``, ``series``, ``modality``: as a ``Volume`` has them
    - ``warnings``: what is left out of a file
    """

    voxels: NDArray[Any]
    rescales: list[tuple[float, float]]
    mappings: list[GreyMapping | None]
    padding: NDArray[np.bool_] | None = None
    unit: str = ""
    series: str = ""
    modality: str = ""
    warnings: list[str] = field(default_factory=list)


def _decoded(selection: ChosenVolume) -> _Pixels:
    """The pixels of a volume, every file decoded once. CaseError where one can't be."""
    members: dict[Path, list[int]] = {}
    for z, entry in enumerate(selection.frames):
        members.setdefault(entry.path, []).append(z)
    shape, count = _shape(selection), len(selection.frames)
    _check_memory(selection, shape)
    pixels = _Pixels(np.empty(0), [(1.0, 0.0)] * count, [None] * count)
    for path, slices in members.items():
        with reading(path):
            image = open_image(path)
            frame_numbers = [selection.frames[z].frame for z in slices]
            raw = _frames(native(_stored_values(image), path), frame_numbers, shape)
            padding, table = padding_of(image, raw), modality_table(image)
            raw = raw if table is None else table.map(raw)
            pixels.unit = unit_of(image) if table is None else ""
            pixels.series = series_of(image)
            pixels.modality = str(image.get("Modality") or "")
            if images := _uncounted(image):
                pixels.warnings.append(
                    f"{path}: its pixels are those of {images} more images than its header counts: "
                    "they are left out"
                )
            for z, frame in zip(slices, frame_numbers, strict=True):
                pixels.mappings[z] = grey_mapping(image, frame)
        if table is None:
            for z in slices:
                pixels.rescales[z] = selection.frames[z].numbers.rescale
        if padding is not None:
            if pixels.padding is None:
                pixels.padding = np.zeros(shape, np.bool_)
            pixels.padding[slices] = padding
        if len(members) == 1:
            pixels.voxels = raw
            break
        if not pixels.voxels.size:
            pixels.voxels = np.empty(shape, raw.dtype)
        kind = np.result_type(pixels.voxels, raw)
        pixels.voxels = pixels.voxels.astype(kind, copy=False)
        pixels.voxels[slices] = raw
    return pixels


def _check_memory(selection: ChosenVolume, shape: tuple[int, int, int]) -> None:
    from pydicom import dcmread

    first, tags = selection.frames[0], ["BitsAllocated", "SamplesPerPixel"]
    with reading(first.path):
        header = dcmread(
            readable(first.path), stop_before_pixels=True, specific_tags=tags, force=True
        )
        bits = int(header.get("BitsAllocated") or 16)
        samples = int(header.get("SamplesPerPixel") or 1)
    location = (
        first.path if len({entry.path for entry in selection.frames}) == 1 else first.path.parent
    )
    check_memory(location, math.prod(shape) * max(1, bits // 8) * samples, _COPIES)


def _frames(raw: NDArray[Any], numbers: list[int], shape: tuple[int, int, int]) -> NDArray[Any]:
    """The wanted frames of a file, in that order; all in their own are not copied."""
    if raw.shape[1:] != shape[1:] or max(numbers) >= len(raw):
        raise ValueError(f"its header says {shape}, its pixels are {raw.shape} (z, y, x)")
    return raw if numbers == list(range(len(raw))) else raw[numbers]


def _display_levels(
    voxels: NDArray[Any], slope: float, intercept: float, mappings: Sequence[GreyMapping]
) -> NDArray[Any]:
    """Each slice through its mapping, on the scale of the middle one's."""
    highest = mappings[len(mappings) // 2].highest
    straight = (slope, intercept) == (1.0, 0.0)
    slices = []
    for layer, mapping in zip(voxels, mappings, strict=True):
        levels = mapping.map(layer if straight else layer * slope + intercept)
        if mapping.highest != highest:
            levels = levels.astype(np.float32) * np.float32(highest / mapping.highest)
        slices.append(levels)
    return np.stack(slices)


def _shape(selection: ChosenVolume) -> tuple[int, int, int]:
    first = selection.frames[0]
    with reading(first.path):
        return len(selection.frames), int(first.header.Rows), int(first.header.Columns)


def open_image(path: Path) -> Any:
    """pydicom's image with its pixels. CaseError where nothing here decompresses them."""
    from pydicom import dcmread
    from pydicom.pixels.decoders.base import get_decoder

    image = dcmread(readable(path), force=True)
    meta = image.file_meta
    if "TransferSyntaxUID" not in meta:
        from pydicom.uid import ImplicitVRLittleEndian

        meta.TransferSyntaxUID = ImplicitVRLittleEndian  # what files without a preamble are in
    if (
        meta.TransferSyntaxUID.is_compressed
        and not get_decoder(meta.TransferSyntaxUID).is_available
    ):
        raise CaseError(
            f"{path}: is compressed as {meta.TransferSyntaxUID.name};"
            " install fastcam[dicom] to read it"
        )
    return image


def _stored_values(image: Any) -> NDArray[Any]:
    """(frames, y, x), stored values; of colors the luminance."""
    pixels: NDArray[Any] = image.pixel_array
    color = image.get("SamplesPerPixel", 1) > 1
    if image.get("PhotometricInterpretation") == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        pixels, color = apply_color_lut(pixels, image), True
    if color:
        pixels = luminance(pixels)
    return pixels[None] if pixels.ndim == 2 else pixels


def _uncounted(image: Any) -> int:
    """How many images the pixels of a file hold beyond those that its header counts."""
    from pydicom.pixels.utils import get_expected_length

    if image.file_meta.TransferSyntaxUID.is_compressed or "PixelData" not in image:
        return 0
    expected = get_expected_length(image)
    count = max(1, int(image.get("NumberOfFrames") or 1))
    return (len(image.PixelData) - expected) // max(1, expected // count)


def placed_at(selection: ChosenVolume) -> NDArray[np.float64] | None:
    """Voxel (x, y, z, 1) to RAS millimetres, PS3.3 equation C.7.6.2.1-1; None without positions."""
    first, last = selection.frames[0].numbers, selection.frames[-1].numbers
    if not (first.plane and first.position and last.position):
        return None
    rows, columns = np.array(first.plane[:3], float), np.array(first.plane[3:], float)
    step = np.array(selection.plan.step if selection.plan.step is not None else (0, 0, 0), float)
    if not step.any():
        step = np.cross(rows, columns) * first.thickness
    affine = np.eye(4)
    affine[:3, 0] = rows * first.spacing[1]
    affine[:3, 1] = columns * first.spacing[0]
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    return LPS_TO_RAS @ affine
