"""How a job goes, and what it did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fastcam.errors import one_line
from fastcam.jobs.render.gallery import PAGE
from fastcam.jobs.render.plan import DrawPlan
from fastcam.run.file_names import Named
from fastcam.run.folder import FAILURES
from fastcam.run.records import Failure


@dataclass
class RenderReport:
    """What a render job did. Of ``planned`` figures ``already`` were there before."""

    output_dir: Path
    available: int = 0
    cases: int = 0
    planned: int = 0
    already: int = 0
    drawn: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    statistics: list[Path] = field(default_factory=list)
    redone: set[int] = field(default_factory=set)
    _found: dict[Failure, int] = field(default_factory=dict)

    def take(self, drawing: DrawPlan, available: Sequence[Named], cases: int) -> None:
        """Note what was planned for so many of the ``available`` cases."""
        self.available, self.cases = len(available), cases
        self.planned, self.already = drawing.planned, drawing.already
        self.redone = {available[portion.case].place for portion in drawing.portions}
        self.note(drawing.failures)

    def note(self, failures: Iterable[Failure]) -> None:
        """Note what went wrong; a case cut into several work items says it once."""
        for failure in failures:
            key = replace(failure, figures=0)
            self._found[key] = self._found.get(key, 0) + failure.figures

    @property
    def failures(self) -> list[Failure]:
        """What went wrong, each thing once."""
        return [replace(failure, figures=count) for failure, count in self._found.items()]

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
        if not any(failure.level == "error" for failure in self.failures):
            return 0
        return 3 if self.drawn or self.already else 1

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


_LISTED = 5


def as_dict(report: RenderReport) -> dict[str, Any]:
    """The result that ``--json`` prints."""
    return {
        "output_dir": str(report.output_dir),
        "exit_code": report.exit_code,
        **report.counts(),
        "seconds": report.seconds,
        "figures_per_second": round(report.figures_per_second, 1),
        "statistics": [str(path) for path in report.statistics],
        "troubles": [
            {"level": t.level, "case": t.case, "slice": t.slice, "reason": t.reason}
            for t in report.failures
        ],
    }


def told(report: RenderReport) -> str:
    """A few lines for people: what was drawn, where it is, and what went wrong."""
    lines = [_drawn(report)]
    for level in ("error", "warning"):
        found = [t for t in report.failures if t.level == level]
        for failure in found[:_LISTED]:
            where = (
                failure.case if failure.slice is None else f"{failure.case} slice {failure.slice}"
            )
            lines.append(one_line(f"{level}: {where}: {failure.reason}"))
        if len(found) > _LISTED:
            rest = len(found) - _LISTED
            lines.append(f"{level}: and {rest} more in {report.output_dir / FAILURES}")
    lines += [f"statistics: {path}" for path in report.statistics]
    lines.append(f"figures: {report.output_dir}, to leaf through in {report.output_dir / PAGE}")
    return "\n".join(lines)


def _drawn(report: RenderReport) -> str:
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
