"""The stages of a render job before anything is drawn, each a value that the next one starts from.

:class:`RenderSource` is checked, :class:`RenderInput` is read, :class:`RenderJob` has its run
store, :class:`RenderPlan` says what is left to draw. No pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fastcam.report.statistics import CaseStatistics
from fastcam.run.file_names import NumberedCase
from fastcam.run.folder import RunFolder
from fastcam.run.records import Failure, ItemResult
from fastcam.run.work_items import CaseSlices, WorkItem

Limits = tuple[float, float]
Draw = Callable[[WorkItem], ItemResult]


@dataclass(frozen=True, kw_only=True)
class FigurePlan:
    """The figures of some cases.

    Attributes:
        cases: the cases of which figures or summaries are to be drawn, with these.
        planned: number of figures that were asked for.
        already: number of those that an earlier run has drawn.
        failures: cases that can't be drawn.
    """

    cases: tuple[CaseSlices, ...] = ()
    planned: int = 0
    already: int = 0
    failures: tuple[Failure, ...] = ()

    @property
    def left(self) -> int:
        """Number of figures that are to be drawn."""
        return sum(len(case_slices.slices) for case_slices in self.cases)

    @staticmethod
    def joined(plans: Iterable[FigurePlan]) -> FigurePlan:
        """The plan of all cases, from the plan of each."""
        plans = tuple(plans)
        return FigurePlan(
            cases=tuple(case for plan in plans for case in plan.cases),
            planned=sum(plan.planned for plan in plans),
            already=sum(plan.already for plan in plans),
            failures=tuple(failure for plan in plans for failure in plan.failures),
        )


@dataclass(frozen=True)
class CohortPlan:
    """How the color scale that all cases of a store share is found.

    Attributes:
        items: all cases of the store, whatever is selected for drawing.
        limits: the limits of an item's cases, a pair for each map of a figure.
        draw: what draws with the limits of all cases.
    """

    items: Sequence[WorkItem]
    limits: Callable[[WorkItem], Sequence[Limits]]
    draw: Callable[[Sequence[Limits]], Draw]


@dataclass(frozen=True)
class StatisticsPlan:
    """The cases whose attention is measured, and what measures a work item of them."""

    cases: Sequence[CaseSlices]
    measure: Callable[[WorkItem], list[CaseStatistics]]


@dataclass(frozen=True, kw_only=True)
class RenderPlan:
    """What a render job has to do.

    Attributes:
        available: every case of the run store.
        case_count: number of cases that were chosen.
        figures: the figures of the chosen cases.
        draw: draws a work item, in a worker.
        cohort: the scale of all cases, where one is asked for and figures are left.
        statistics: what is measured, where that is asked for.
        fonts: the font files that the figures' texts need, beyond the own one.
    """

    available: Sequence[NumberedCase]
    case_count: int
    figures: FigurePlan
    draw: Draw
    cohort: CohortPlan | None = None
    statistics: StatisticsPlan | None = None
    fonts: tuple[Path, ...] = ()


class RenderJob(Protocol):
    """A job whose run store is there."""

    @property
    def store_path(self) -> Path:
        """The run store."""

    @property
    def failures(self) -> Sequence[Failure]:
        """What is wrong with cases of the run store itself."""

    @property
    def masked(self) -> Iterable[int]:
        """The numbers of the chosen cases that have a mask."""

    def plan(self, finished: Container[str]) -> RenderPlan:
        """What is left to do; ``finished`` are paths relative to the output folder."""


class RenderInput(Protocol):
    """Results that were read, and their cases chosen. Nothing is written yet."""

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The settings that decide how the figures look, by option name."""

    @property
    def notes(self) -> Sequence[str]:
        """What was found out and taken, a line each for people."""

    def import_into(self, folder: RunFolder) -> RenderJob:
        """The job, with a run store: made in ``folder`` unless there is one already."""


class RenderSource(Protocol):
    """Results whose options and folders were checked, but not read."""

    def read(self) -> RenderInput:
        """Read the results and choose the cases. InputError where that can't be done."""


def unfinished(
    paths: Mapping[int, str], summary: str, finished: Container[str]
) -> tuple[tuple[int, ...], bool]:
    """The slices whose ``paths`` aren't finished, and whether the ``summary`` (a path, or empty
    where none is asked for) is to be written."""
    left = tuple(index for index, path in paths.items() if path not in finished)
    return left, bool(summary) and summary not in finished


def joined_limits(limits: Iterable[Sequence[Limits]]) -> tuple[Limits, ...]:
    """The limits of all cases, map by map, from those of each item."""
    return tuple(
        (min(low for low, _ in each), max(high for _, high in each))
        for each in zip(*limits, strict=True)
    )
