"""What a model said of a case of the gallery, beside what is true, as the page writes it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fastcam.figures.box_outlines import box_text
from fastcam.store.map_schema import MapHeader


def answer_text(header: MapHeader, names: Sequence[str], findings: bool) -> int | str:
    """The predicted class, the values of a regression, the boxes of a detector, or of several
    ``findings`` those that are predicted; ``names`` are those of the classes."""
    if len(header.boxes):
        return "; ".join(
            box_text(b, lambda label: str(class_text(label, names))) for b in header.boxes
        )
    if header.prediction is None:
        return ", ".join(f"{value:.4g}" for value in header.output[:4])
    return _findings_text(header) if findings else class_text(header.prediction, names)


def class_text(label: int, names: Sequence[str]) -> int | str:
    """The name of a class, or its number where it has none."""
    return names[label] if 0 <= label < len(names) else label


def label_text(label: str, names: Sequence[str]) -> str:
    """A label as tables have it: a number has its class's name."""
    number = label.strip()
    return str(class_text(int(number), names)) if names and number.isdecimal() else label


def error_of(header: MapHeader) -> float:
    """Of a regression with one output how far it is off; NaN of all else."""
    if header.prediction is not None or len(header.output) != 1 or len(header.boxes):
        return math.nan
    try:
        return float(header.output[0]) - float(header.label)
    except ValueError:
        return math.nan


def _findings_text(header: MapHeader) -> int | str:
    """Of several findings which are predicted, written as their labels are: ``1,0,1``."""
    found = [str(int(share >= 0.5)) for share in header.probabilities]
    return ",".join(found) if len(found) > 1 else int(header.prediction or 0)
