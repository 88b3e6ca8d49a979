"""What a render job did: its counts, for ``run.json``, for ``--json`` and for people."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastcam.jobs.render.gallery import PAGE
from fastcam.jobs.render.plan import RenderPlan
from fastcam.run.failures import FailureCounts, Report, exit_code, failure_lines
from fastcam.run.records import Failure, ItemResult


@dataclass(kw_only=True)
class RenderReport(Report):
    """What a render job did.

    Attributes:
        output_dir: the folder of the figures.
        available: number of cases of the run store.
        cases: number of those that were chosen.
        planned: number of figures that were asked for.
        already: number of those that an earlier run had drawn.
        drawn: number of those that this run has drawn.
        seconds: wall time of each stage, by its name.
        statistics: the files of statistics that were written.
        redone: the numbers of the cases of which figures were left to draw.
        notes: what was found out and taken, a line each.
    """

    output_dir: Path
    available: int = 0
    cases: int = 0
    planned: int = 0
    already: int = 0
    drawn: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    statistics: list[Path] = field(default_factory=list)
    redone: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    _failures: FailureCounts = field(default_factory=FailureCounts)

    def __repr__(self) -> str:
        return (
            f"<figures in {self.output_dir}: {self.drawn} drawn, {self.already} already there, "
            f"{self.failed} failed>"
        )

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Take the time of a stage, also where it fails."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = round(time.perf_counter() - start, 3)

    def add_plan(self, plan: RenderPlan) -> None:
        """Add what was planned."""
        figures = plan.figures
        self.available, self.cases = len(plan.available), plan.case_count
        self.planned, self.already = figures.planned, figures.already
        self.redone = {plan.available[case_slices.case].place for case_slices in figures.cases}
        self.add_failures(figures.failures)

    def add_result(self, result: ItemResult) -> None:
        """Add what came of a work item."""
        self.drawn += sum(record.slice is not None for record in result.figures)
        self.add_failures(result.failures)

    def add_failures(self, failures: Iterable[Failure]) -> None:
        """Add what went wrong; a case cut into several work items counts once."""
        self._failures.add(failures)

    @property
    def failures(self) -> list[Failure]:
        """What went wrong, each thing once."""
        return self._failures.failures

    @property
    def failed(self) -> int:
        """Figures that were planned and are not there."""
        return self.planned - self.already - self.drawn

    @property
    def figures_per_second(self) -> float:
        """Figures drawn by this run for each second of drawing."""
        return self.drawn / self.seconds["draw"] if self.seconds.get("draw") else 0.0

    @property
    def exit_code(self) -> int:
        """0 all done, 1 nothing but failures, 3 finished but some failed."""
        return exit_code(self.failures, bool(self.drawn or self.already))

    def counts(self) -> dict[str, int]:
        """The numbers of this run, as they stand in ``run.json``."""
        return {
            "cases": self.cases,
            "figures_planned": self.planned,
            "figures_already_there": self.already,
            "figures_drawn": self.drawn,
            "figures_failed": self.failed,
            "errors": sum(failure.level == "error" for failure in self.failures),
            "warnings": sum(failure.level == "warning" for failure in self.failures),
        }


def as_dict(report: RenderReport) -> dict[str, Any]:
    """The result that ``--json`` prints."""
    return {
        "output_dir": str(report.output_dir),
        "exit_code": report.exit_code,
        **report.counts(),
        "seconds": report.seconds,
        "figures_per_second": round(report.figures_per_second, 1),
        "statistics": [str(path) for path in report.statistics],
        "notes": report.notes,
        "troubles": [
            {"level": f.level, "case": f.case, "slice": f.slice, "reason": f.reason}
            for f in report.failures
        ],
    }


def summary_text(report: RenderReport) -> str:
    """A few lines for people: what was drawn, where it is, and what went wrong."""
    lines = [*report.notes, _counts_text(report)]
    lines += failure_lines(report.failures, report.output_dir)
    lines += [f"statistics: {path}" for path in report.statistics]
    if report.drawn or report.already:
        lines.append(f"figures: {report.output_dir}; open {report.output_dir / PAGE} to browse")
    return "\n".join(lines)


def _counts_text(report: RenderReport) -> str:
    if report.available and not report.cases:
        return f"nothing to draw: no case is left of {report.available} by the options given"
    parts = [f"{report.drawn} figures of {report.cases} cases drawn"]
    if report.drawn:
        parts[0] += f" in {report.seconds['draw']:.1f} s ({report.figures_per_second:.0f}/s)"
    if report.already:
        parts.append(f"{report.already} were there already")
    if report.failed:
        parts.append(f"{report.failed} failed")
    return ", ".join(parts)
