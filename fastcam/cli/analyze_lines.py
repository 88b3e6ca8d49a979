"""What an analysis did, for people and for programs."""

from __future__ import annotations

from typing import Any

from fastcam.analysis.job import REPORT, RESULTS
from fastcam.analysis.results import Analysis
from fastcam.errors import one_line
from fastcam.runfolder import FAILURES

_LISTED = 5


def as_dict(report: Analysis) -> dict[str, Any]:
    """The result that ``--json`` prints."""
    errors = [trouble for trouble in report.failures if trouble.level == "error"]
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
    errors = [trouble for trouble in report.failures if trouble.level == "error"]
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
