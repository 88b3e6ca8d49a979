"""What a model said of a case, beside what is true, as the gallery and the viewer write it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fastcam.figures.box_outlines import box_text
from fastcam.figures.class_texts import area_text
from fastcam.store.map_schema import MapHeader


def answer_text(header: MapHeader, names: Sequence[str], findings: bool) -> int | str:
    """The predicted class, the values of a regression, the boxes of a detector, the areas of a
    segmentation's classes, or of several ``findings`` those that are predicted; ``names`` are those
    of the classes."""

    def name_of(label: int) -> str:
        return str(class_text(label, names))

    if len(header.boxes):
        return "; ".join(box_text(box, name_of) for box in header.boxes)
    if len(header.pixels):
        return area_text(header.output.tolist(), name_of)
    if header.prediction is None:
        return ", ".join(f"{value:.4g}" for value in header.output[:4])
    if findings and len(header.probabilities) > 1:
        return _findings_text([str(int(share >= 0.5)) for share in header.probabilities], names)
    return class_text(header.prediction, names)


def class_text(label: int, names: Sequence[str]) -> int | str:
    """The name of a class, or its number where it has none."""
    return names[label] if 0 <= label < len(names) else label


def label_text(label: str, names: Sequence[str], findings: bool) -> str:
    """A label as tables have it: a number has its class's name, and of several ``findings``, as in
    ``1,,0``, those that are present."""
    number = label.strip()
    if findings and "," in number:
        return _findings_text(number.split(","), names)
    return str(class_text(int(number), names)) if names and number.isdecimal() else label


def error_of(header: MapHeader) -> float:
    """Of a regression with one output how far it is off; NaN of all else."""
    if header.prediction is not None or len(header.output) != 1 or len(header.boxes):
        return math.nan
    try:
        return float(header.output[0]) - float(header.label)
    except ValueError:
        return math.nan


def _findings_text(present: Sequence[str], names: Sequence[str]) -> str:
    """The names of the findings that are ``present`` ("1"); as they stand where they have none."""
    if len(names) != len(present):
        return ",".join(present)
    found = [name for name, value in zip(names, present, strict=True) if value.strip() == "1"]
    return ", ".join(found) or "no finding"
