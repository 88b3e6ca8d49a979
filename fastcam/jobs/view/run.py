"""A run in the reading room: its cases, its maps, and how a case of it is opened."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from fastcam.figures import fonts, layout
from fastcam.figures.render_style import RenderStyle, render_style_of
from fastcam.jobs.view.opened_case import Limits, OpenedCase
from fastcam.options import Sources, Style


@dataclass(frozen=True, kw_only=True)
class CaseRow:
    """What a run says of a case.

    Attributes:
        id: the case's name, by which the cases of several runs are joined.
        group: the folder it lies in; empty for none.
        label: the true value as text; empty where it is not known.
        prediction: the predicted class or values as text; empty where there is none.
        correct: whether the prediction is right; None where that is not known.
        confidence: 0 to 1; None where there is none.
        numbers: further numbers by the name of their column.
        reason: why the case has no pictures; empty where it has.
    """

    id: str
    group: str = ""
    label: str = ""
    prediction: str = ""
    correct: bool | None = None
    confidence: float | None = None
    numbers: dict[str, float] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class MapFacts:
    """A map that a run has of every case.

    Attributes:
        name: method and layer, for people.
        heads: how many heads of attention there are to choose from; 0 for none.
        note: what pictures must say of it.
    """

    name: str
    heads: int = 0
    note: str = ""


class ViewRun(ABC):
    """A run that was opened: a store or a results file, with the folders of its images.

    Attributes:
        name: what it is called in the room.
        path: where it lies.
        kind: what its maps are.
        style: the look that its figures were drawn with, where it has any.
        notes: what is odd about all cases, and what was taken where the request left it open.
    """

    name: str
    path: Path
    kind: Literal["patches", "maps"]
    style: Style | None = None
    notes: tuple[str, ...] = ()

    @property
    @abstractmethod
    def sources(self) -> Sources:
        """The images and masks, and their geometry."""

    @property
    @abstractmethod
    def cases(self) -> Sequence[CaseRow]:
        """Every case, in the run's order."""

    @property
    @abstractmethod
    def maps(self) -> Sequence[MapFacts]:
        """The maps of every case."""

    @abstractmethod
    def open(self, index: int) -> OpenedCase:
        """Open a case. CaseError where its images or maps can't be read."""

    @abstractmethod
    def cohort_limits(self, number: int, head: int | None, classic: bool) -> Limits:
        """The limits of a map over all cases, for the scale ``cohort``; ``classic``: as that style
        shows them. It may take long."""


@lru_cache(maxsize=256)
def prepared_style(style: Style, height: int, width: int) -> RenderStyle:
    """Glyphs and color tables for panels of a picture of ``height`` x ``width`` pixels."""
    side = max(layout.enlarged(height, width, style.panel_size))
    return render_style_of(style, "", _fonts(style.font), side)


@lru_cache(maxsize=4)
def _fonts(extra: Path | None) -> tuple[Path, ...]:
    return fonts.chain("", extra)
