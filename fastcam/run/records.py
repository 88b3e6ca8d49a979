"""What comes of work items: figures, failures, and the boundary that makes errors failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fastcam.errors import CaseError, FastcamError

Level = Literal["error", "warning"]
LEVELS: tuple[Level, ...] = ("error", "warning")


@dataclass(frozen=True, slots=True)
class FigureRecord:
    """A finished file: a line of ``figures.csv``, whose columns are these fields.

    Attributes:
        path: the file, relative to the output folder.
        place: the case's 1-based number in the run.
        case: the case's name.
        slice: the 0-based slice; None for an image without slices, and for a summary.
        best: whether it is the case's best slice.
        average: mean attention weight of the slice's patches.
        low: lower limit of the color scale.
        high: upper limit of the color scale.
        limits: of a figure of several maps, JSON ``{"map": [low, high], ...}``; else empty.
    """

    path: str
    place: int
    case: str
    slice: int | None
    best: bool
    average: float
    low: float
    high: float
    limits: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A line of ``failures.csv``, whose columns are these fields.

    Attributes:
        level: ``error`` where something is missing, ``warning`` where it is there all the same.
        place: the case's 1-based number in the run; 0 for what belongs to no case.
        case: the case's name.
        slice: the 0-based slice; None for the whole case.
        figures: how many figures are missing for it.
        reason: why, in one line.
    """

    level: Level
    place: int
    case: str
    slice: int | None
    figures: int
    reason: str


@dataclass(frozen=True)
class ItemResult:
    """What came of a work item: the files that were written, and what failed."""

    figures: tuple[FigureRecord, ...]
    failures: tuple[Failure, ...]


def attempt(action: Callable[[], None]) -> str | None:
    """Run ``action``; the reason why it failed, or None.

    Errors that end the job (:class:`FastcamError` other than :class:`CaseError`) pass through.
    """
    try:
        action()
    except CaseError as error:
        return str(error)
    except FastcamError:
        raise
    except Exception as error:  # noqa: BLE001
        # The boundary that keeps one case's surprise (a decoder's own exception, a bug) from
        # costing the other ten thousand figures; it is listed, not swallowed.
        return f"unexpected {type(error).__name__}: {error}"
    return None
