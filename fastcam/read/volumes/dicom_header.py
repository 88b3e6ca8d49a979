"""What the header of a DICOM image says of one slice, as numbers, and of its series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastcam.read.volumes.dicom_values import (
    FRAMES,
    PLANE,
    POSITION,
    stored_integer,
    stored_numbers,
)

# The functional groups of enhanced files, per frame and shared.
_GROUPS = (0x52009230, 0x52009229)
# What slice_header and its callers read; of a file's header nothing else need be parsed.
HEADER_TAGS = (
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PhotometricInterpretation",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "PixelAspectRatio",
    "SliceThickness",
    "SpacingBetweenSlices",
    "GridFrameOffsetVector",
    "RescaleSlope",
    "RescaleIntercept",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)


@dataclass(frozen=True, kw_only=True)
class SliceHeader:
    """What a slice's header says beside its pixels; numbers only, so that the rest is freed.

    - ``size``: rows and columns
    - ``rescale``: (slope, intercept) from stored values to the quantity; (1, 0) where none is given
    - ``window``: (low, high) in the quantity's unit, None where none is given
    - ``written_window``: the same as the header has it, (center, width)
    - ``inverted``: low values are bright (MONOCHROME1)
    - ``position`` (3,): where the first pixel lies, DICOM's patient coordinates in mm, or None
    - ``plane`` (6,): directions of a row, then of a column, or None
    - ``spacing``: between rows, and between columns, in mm; where none is given 1 between columns,
      and between rows what the pixels' aspect ratio makes of that
    - ``sized``: whether the header gives it
    - ``thickness``: between slices, else of one, in mm
    """

    size: tuple[int, int]
    rescale: tuple[float, float]
    window: tuple[float, float] | None
    written_window: tuple[float, float] | None
    inverted: bool
    position: tuple[float, float, float] | None
    plane: tuple[float, ...] | None
    spacing: tuple[float, ...]
    thickness: float
    sized: bool = True


def slice_header(image: Any, frame: int) -> SliceHeader:
    """The header of one frame of pydicom's ``image``."""
    slope = frame_value(image, frame, "RescaleSlope", "PixelValueTransformationSequence")
    intercept = frame_value(image, frame, "RescaleIntercept", "PixelValueTransformationSequence")
    spacing = frame_value(image, frame, "PixelSpacing", "PixelMeasuresSequence")
    thickness = frame_value(image, frame, "SliceThickness", "PixelMeasuresSequence")
    between = frame_value(image, frame, "SpacingBetweenSlices", "PixelMeasuresSequence")
    position, _ = position_of(image, frame)
    sides = _numbers(spacing, 2)
    sized = sides is not None and min(sides) > 0
    return SliceHeader(
        size=(int(image.Rows), int(image.Columns)),
        rescale=(first_number(slope) or 1.0, first_number(intercept) or 0.0),
        window=_window(image, frame),
        written_window=_written_window(image, frame),
        inverted=image.get("PhotometricInterpretation") == "MONOCHROME1",
        position=position,
        plane=plane_of(image, frame),
        spacing=sides if sides is not None and sized else (_aspect_ratio(image), 1.0),
        sized=sized,
        thickness=first_number(between) or first_number(thickness) or 1.0,
    )


def _aspect_ratio(image: Any) -> float:
    """The height of a pixel over its width, PS3.3 C.7.6.3.1.7; 1 where it isn't given."""
    sides = _numbers(image.get("PixelAspectRatio"), 2)
    return sides[0] / sides[1] if sides is not None and min(sides) > 0 else 1.0


def unit_of(image: Any) -> str:
    """The unit of rescaled values, PS3.3 C.11.1.1.2, of PET C.8.9.1.1.3; empty where unspecified.

    A CT's are Hounsfield units where nothing else is said, C.8.2.1.
    """
    kind = frame_value(image, 0, "RescaleType", "PixelValueTransformationSequence")
    text = str(kind or image.get("Units") or "").strip()
    rescaled = frame_value(image, 0, "RescaleIntercept", "PixelValueTransformationSequence")
    if not text and image.get("Modality") == "CT" and rescaled is not None:
        return "HU"
    return "" if text in ("US", "NONE") else text


def series_of(image: Any) -> str:
    """What the scanner calls the series, else its protocol or sequence; empty where it doesn't."""
    names = ("SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName")
    texts = (str(image.get(name) or "") for name in names)
    printable = ("".join(c for c in text if c.isprintable()).strip() for text in texts)
    return next(filter(None, printable), "")


def frame_value(image: Any, frame: int, keyword: str, *macros: str) -> Any:
    """A value of a frame: from the functional groups that enhanced files keep it in, through the
    sequences named ``macros``, else from the header itself; None where there is none."""
    holder = frame_group(image, frame, *macros)
    if holder is not None and keyword in holder:
        return holder.get(keyword)
    return image.get(keyword)


def frame_group(image: Any, frame: int, *macros: str) -> Any:
    """The item of a frame's functional groups that ``macros`` lead to; None where there is none."""
    if not any(image.get_item(tag) is not None for tag in _GROUPS):
        return None
    for name, index in (
        ("PerFrameFunctionalGroupsSequence", frame),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        groups = image.get(name) or ()
        item = groups[index] if index < len(groups) else None
        for macro in macros:
            items = item.get(macro) if item is not None else None
            item = items[0] if items else None
        if item is not None:
            return item
    return None


def first_number(value: Any) -> float | None:
    """The first of one or several numbers; None where there is none."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) and hasattr(value, "__len__"):
        return float(value[0]) if len(value) else None
    return float(value)


def _numbers(values: Sequence[Any] | None, count: int) -> tuple[float, ...] | None:
    if not values:
        return None
    values = values if hasattr(values, "__len__") else [values]
    if len(values) != count:
        raise ValueError(f"its header gives {len(values)} numbers where {count} are needed")
    numbers = tuple(float(value) for value in values)
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"its header gives {numbers}, which are not all finite")
    return numbers


def plane_of(image: Any, frame: int) -> tuple[float, ...] | None:
    """(6,): the directions of a frame's rows, then of its columns; None where none is given."""
    if frame_group(image, frame, "PlaneOrientationSequence") is None:
        return _numbers(stored_numbers(image, *PLANE), 6)
    plane = frame_value(image, frame, "ImageOrientationPatient", "PlaneOrientationSequence")
    return _numbers(plane, 6)


def position_of(image: Any, frame: int) -> tuple[tuple[float, float, float] | None, bool]:
    """(where a frame's first pixel lies, whether that is its own place and not one for all)."""
    group = frame_group(image, frame, "PlanePositionSequence")
    if group is None:
        numbers = _numbers(stored_numbers(image, *POSITION), 3)
    else:
        values = frame_value(image, frame, "ImagePositionPatient", "PlanePositionSequence")
        numbers = _numbers(values, 3)
    position = None if numbers is None else (numbers[0], numbers[1], numbers[2])
    if position is None or (stored_integer(image, *FRAMES) or 1) == 1:
        return position, position is not None
    if group is not None:
        return position, True
    offsets, plane = image.get("GridFrameOffsetVector"), image.get("ImageOrientationPatient")
    if not offsets or not plane or frame >= len(offsets):
        return position, False
    if float(offsets[0]) != 0:  # the frames' own z, PS3.3 C.8.8.3.2
        return (position[0], position[1], float(offsets[frame])), True
    normal = np.cross(np.array(plane[:3], float), np.array(plane[3:], float))
    x, y, z = (np.array(position) + float(offsets[frame]) * normal).tolist()
    return (x, y, z), True


def _written_window(image: Any, frame: int) -> tuple[float, float] | None:
    """(center, width) in rescaled units; None for numbers that make no window."""
    center = first_number(frame_value(image, frame, "WindowCenter", "FrameVOILUTSequence"))
    width = first_number(frame_value(image, frame, "WindowWidth", "FrameVOILUTSequence"))
    if center is None or width is None or not width >= 1 or not math.isfinite(center + width):
        return None
    return center, width


def _window(image: Any, frame: int) -> tuple[float, float] | None:
    """(low, high) in rescaled units, PS3.3 C.11.2.1.2."""
    written = _written_window(image, frame)
    if written is None:
        return None
    center, width = written
    if frame_value(image, frame, "VOILUTFunction", "FrameVOILUTSequence") == "LINEAR_EXACT":
        return center - width / 2, center + width / 2
    return center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
