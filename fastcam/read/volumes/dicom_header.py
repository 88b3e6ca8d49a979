"""What the header of a DICOM image says of one slice, as numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SliceHeader:
    """What a slice's header says beside its pixels; numbers only, so that the rest is freed.

    - ``rescale``: (slope, intercept) from stored values to the quantity; (1, 0) where none is given
    - ``window``: (low, high) in the quantity's unit, None where none is given
    - ``inverted``: low values are bright (MONOCHROME1)
    - ``position`` (3,): where the first pixel lies, DICOM's patient coordinates in mm, or None
    - ``plane`` (6,): directions of a row, then of a column, or None
    - ``spacing``: between rows, and between columns, in mm
    - ``thickness``: between slices, else of one, in mm
    """

    rescale: tuple[float, float]
    window: tuple[float, float] | None
    inverted: bool
    position: Any
    plane: Any
    spacing: tuple[float, ...]
    thickness: float


def slice_header(image: Any, frame: int) -> SliceHeader:
    """The header of one frame of pydicom's ``image``."""
    slope = _value(image, "RescaleSlope", "PixelValueTransformationSequence", frame)
    intercept = _value(image, "RescaleIntercept", "PixelValueTransformationSequence", frame)
    spacing = _value(image, "PixelSpacing", "PixelMeasuresSequence", frame)
    thickness = _value(image, "SliceThickness", "PixelMeasuresSequence", frame)
    return SliceHeader(
        rescale=(_number(slope) or 1.0, _number(intercept) or 0.0),
        window=_window(image, frame),
        inverted=image.get("PhotometricInterpretation") == "MONOCHROME1",
        position=_value(image, "ImagePositionPatient", "PlanePositionSequence", frame),
        plane=_value(image, "ImageOrientationPatient", "PlaneOrientationSequence", frame),
        spacing=tuple(float(distance) for distance in spacing or (1.0, 1.0)),
        thickness=_number(image.get("SpacingBetweenSlices")) or _number(thickness) or 1.0,
    )


def _value(image: Any, keyword: str, macro: str, frame: int) -> Any:
    """A value from the header, or from the functional groups that enhanced files keep it in."""
    if keyword in image:
        return image.get(keyword)
    for name, index in (
        ("SharedFunctionalGroupsSequence", 0),
        ("PerFrameFunctionalGroupsSequence", frame),
    ):
        groups = image.get(name) or []
        items = groups[index].get(macro) if index < len(groups) else None
        if items and keyword in items[0]:
            return items[0].get(keyword)
    return None


def _number(value: Any) -> float | None:
    """The first of one or several numbers; None where there is none."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) and hasattr(value, "__len__"):
        return float(value[0]) if len(value) else None
    return float(value)


def _window(image: Any, frame: int) -> tuple[float, float] | None:
    """(low, high) in rescaled units, PS3.3 C.11.2.1.2."""
    centre = _number(_value(image, "WindowCenter", "FrameVOILUTSequence", frame))
    width = _number(_value(image, "WindowWidth", "FrameVOILUTSequence", frame))
    if centre is None or width is None or not width >= 1 or not math.isfinite(centre + width):
        return None
    if _value(image, "VOILUTFunction", "FrameVOILUTSequence", frame) == "LINEAR_EXACT":
        return centre - width / 2, centre + width / 2
    return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
