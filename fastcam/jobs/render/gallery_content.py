"""What a page of figures shows: cases, their figures, and what is known of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastcam.read.inputs.case_columns import CaseColumn


@dataclass(frozen=True, slots=True)
class GalleryFigure:
    """A figure.

    Attributes:
        path: the file, relative to the page.
        slice: the 0-based slice; 0 for an image.
        best: whether it is the case's best slice.
        average: the mean patch weight of the slice, or the mean of its map.
        high: the highest value of its color scale.
        low: the lowest one.
        panels: where its panels lie, as in ``figures.csv``; empty where that isn't known.
    """

    path: str
    slice: int
    best: bool
    average: float
    high: float = 0.0
    low: float = 0.0
    panels: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryCase:
    """A case with at least one figure.

    Attributes:
        place: the case's 1-based number in the run.
        name: the case's name.
        true_label: empty where it is not known.
        predicted_label: a class, or the values of a regression as text.
        correct: whether the prediction is right; None where it is not known.
        confidence: 0 to 1; NaN where there is none.
        highest: the highest patch weight or map value.
        figures: by slice.
        summary: the path of the text beside them, if there is one.
        error: of a regression the predicted less the true value; NaN where it isn't known.
    """

    place: int
    name: str
    true_label: int | str
    predicted_label: int | str
    correct: bool | None
    confidence: float
    highest: float
    figures: tuple[GalleryFigure, ...]
    summary: str | None = None
    error: float = math.nan

    @property
    def cover(self) -> GalleryFigure:
        """The figure that stands for the case: the best slice, or the next best there is."""
        return max(self.figures, key=lambda figure: (figure.best, figure.average, -figure.slice))


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A line of ``failures.csv``: what was not drawn, or drawn with a warning.

    Attributes:
        level: ``error`` or ``warning``.
        case: the case's name.
        slice: the 0-based slice; None for the whole case.
        reason: why, in one line.
    """

    level: str
    case: str
    slice: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """All that the page shows.

    Attributes:
        title: what was drawn, and the folder's name.
        status: how the run ended.
        settings: the settings of the run, by option name.
        available: number of cases of the run store.
        cases: those with figures.
        failures: what went wrong.
        files: names of other results in the folder.
        maps: whether figures are of maps, not of patches.
        flat: whether they are of images, which have no slices.
        pictures: whether figures are of any kind and called by their files; ``predicted_label`` is
            all that is said of a case then, and those of ``cases`` that are none don't count as
            ``available``.
        run: what the run is called in the file of a reader's marks.
        columns: what else is known of ``cases``, in their order, to filter and sort by.
        other: another run of the same cases, which is shown beside this one.
        other_folder: the folder of its figures, relative to the page; empty or with a "/" at the
            end.
    """

    title: str
    status: str
    settings: Mapping[str, Any]
    available: int
    cases: tuple[GalleryCase, ...]
    failures: tuple[FailureRow, ...] = ()
    files: tuple[str, ...] = ()
    maps: bool = False
    flat: bool = False
    pictures: bool = False
    run: str = ""
    columns: tuple[CaseColumn, ...] = ()
    other: Gallery | None = None
    other_folder: str = ""
