"""TODO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastcam.errors import one_line
from fastcam.jobs.analyze.class_comparison import Cohort
from fastcam.jobs.analyze.results import ImageResult
from fastcam.run.folder import FAILURES
from fastcam.run.records import Failure

RESULTS, REPORT = "analysis_results.json", "summary_report.txt"


@dataclass(frozen=True)
class Analysis:
    """A whole test set. ``cohort`` has the classes; ``files`` all that was written besides the
    images' own figures, relative to ``output_dir``."""

    output_dir: Path
    images: tuple[ImageResult, ...]
    cohort: Cohort
    failures: tuple[Failure, ...] = ()
    files: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    figures_drawn: int = 0
    figures_there: int = 0

    @property
    def exit_code(self) -> int:
        """0 all done, 1 nothing but failures, 3 finished but some failed."""
        if not any(failure.level == "error" for failure in self.failures):
            return 0
        return 3 if self.images else 1


_LISTED = 5


def as_dict(report: Analysis) -> dict[str, Any]:
    """The result that ``--json`` prints."""
    errors = [failure for failure in report.failures if failure.level == "error"]
    return {
        "output_dir": str(report.output_dir),
        "exit_code": report.exit_code,
        "images": len(report.images),
        "failed": len(errors),
        "figures_drawn": report.figures_drawn,
        "figures_already_there": report.figures_there,
        "classes": {one.name: one.n for one in report.cohort.classes},
        "seconds": dict(report.seconds),
        "results": str(report.output_dir / RESULTS),
        "report": str(report.output_dir / REPORT),
        "troubles": [{"image": t.case, "reason": t.reason} for t in report.failures],
    }


def told(report: Analysis) -> str:
    """A few lines for people: what was done, where it is, and what went wrong."""
    parts = [f"{len(report.images)} images, {report.figures_drawn} figures drawn"]
    if report.figures_there:
        parts.append(f"{report.figures_there} were there already")
    errors = [failure for failure in report.failures if failure.level == "error"]
    if errors:
        parts.append(f"{len(errors)} failed")
    lines = [f"{', '.join(parts)}, in {sum(report.seconds.values()):.1f} s"]
    lines += [one_line(f"{t.level}: {t.case}: {t.reason}") for t in report.failures[:_LISTED]]
    if len(report.failures) > _LISTED:
        rest = len(report.failures) - _LISTED
        lines.append(f"error: and {rest} more in {report.output_dir / FAILURES}")
    lines.append(f"report: {report.output_dir / REPORT}")
    lines.append(f"numbers: {report.output_dir / RESULTS}")
    return "\n".join(lines)
