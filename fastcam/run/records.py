"""What comes of work items: figures, failures, and the boundary that makes errors failures."""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastcam.errors import CaseError, FastcamError
from fastcam.run.input_files import InputRecord

Level = Literal["error", "warning"]
LEVELS: tuple[Level, ...] = ("error", "warning")


@dataclass(frozen=True, slots=True, kw_only=True)
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
        size: bytes of the file; None where that wasn't recorded.
        panels: where the image and the heat lie on it, ``"W H,x y w h,x y w h b,..."`` in pixels:
            the figure's size, the image, and each panel of heat with the width of its bar, and a
            ``1`` where it is for and against; empty where it has no such panels.
    """

    path: str
    place: int
    case: str
    slice: int | None = None
    best: bool = False
    average: float = 0.0
    low: float = 0.0
    high: float = 0.0
    limits: str = ""
    size: int | None = None
    panels: str = ""

    @classmethod
    def of_cells(cls, cells: Mapping[str, str]) -> FigureRecord:
        """The record of a line of ``figures.csv``; KeyError or ValueError where it is none."""
        return cls(
            path=cells["path"],
            place=int(cells["place"]),
            case=cells["case"],
            slice=int(cells["slice"]) if cells["slice"] else None,
            best=cells["best"] == "True",
            average=float(cells["average"]),
            low=float(cells["low"]),
            high=float(cells["high"]),
            limits=cells.get("limits", ""),
            size=int(cells["size"]) if cells.get("size") else None,
            panels=cells.get("panels", ""),
        )

    def is_there(self, folder: Path) -> bool:
        """Whether the file lies in the output folder, whole: of the size that was recorded, which
        is never 0."""
        try:
            details = (folder / self.path).stat()
        except (OSError, ValueError):
            return False
        whole = details.st_size == self.size if self.size is not None else details.st_size > 0
        return whole and stat.S_ISREG(details.st_mode)


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
    """What came of a work item: the files that were written, what failed, and the inputs that the
    files were made of."""

    figures: tuple[FigureRecord, ...]
    failures: tuple[Failure, ...]
    inputs: tuple[InputRecord, ...] = ()


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
