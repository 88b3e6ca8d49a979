"""TODO."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from fastcam.errors import CaseError, FastcamError


def _add(failures: list[Failure], more: Sequence[Failure]) -> None:
    """Each thing once, however often it shows."""
    said = {replace(failure, figures=0) for failure in failures}
    failures += [failure for failure in more if replace(failure, figures=0) not in said]


@dataclass(frozen=True, slots=True)
class FigureRecord:
    """A finished file: ``path`` relative to the output folder; ``low``, ``high`` of its heat.

    ``limits`` of a figure of several maps: JSON, ``{"map": [low, high], ...}``.
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
    """A line of ``failures.csv``; ``level`` is ``error`` or ``warning``."""

    level: str
    place: int
    case: str
    slice: int | None
    figures: int
    reason: str


@dataclass(frozen=True)
class ItemResult:
    """What came of a work item."""

    drawn: tuple[FigureRecord, ...]
    failures: tuple[Failure, ...]


def attempt(action: Callable[[], None]) -> str:
    """Do something; the reason why it failed, or an empty text."""
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
    return ""
