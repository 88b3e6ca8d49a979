"""What a render job did, for people and for programs."""

from __future__ import annotations

from typing import Any

from fastcam.errors import one_line
from fastcam.jobreport import RenderReport
from fastcam.runfolder import FAILURES
from fastcam.runpage import PAGE

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
            for t in report.troubles
        ],
    }


def told(report: RenderReport) -> str:
    """A few lines for people: what was drawn, where it is, and what went wrong."""
    lines = [_drawn(report)]
    for level in ("error", "warning"):
        found = [t for t in report.troubles if t.level == level]
        for trouble in found[:_LISTED]:
            where = (
                trouble.case if trouble.slice is None else f"{trouble.case} slice {trouble.slice}"
            )
            lines.append(one_line(f"{level}: {where}: {trouble.reason}"))
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
