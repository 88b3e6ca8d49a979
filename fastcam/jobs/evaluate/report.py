"""TODO."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fastcam.errors import InputError, one_line
from fastcam.jobs.evaluate.metrics.bootstrap import Estimate
from fastcam.jobs.evaluate.metrics.evaluation import Evaluation
from fastcam.jobs.evaluate.metrics.localization import describe
from fastcam.jobs.infer.report import InferReport
from fastcam.jobs.render.report import RenderReport
from fastcam.read.inputs.id_match import Unmatched
from fastcam.report.columns import table
from fastcam.run.folder import FAILURES
from fastcam.run.records import Failure

METRICS, UNMATCHED = "test_metrics.json", "unmatched.csv"


@dataclass
class EvaluationReport:
    """What an evaluation did and found. ``figures`` is None where only the best and the worst were
    drawn."""

    output_dir: Path
    inferred: InferReport
    found: Evaluation
    unmatched: tuple[Unmatched, ...] = ()
    files: list[Path] = field(default_factory=list)
    figures: RenderReport | None = None
    notes: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def metrics(self) -> dict[str, float | None]:
        """Each metric by its name, without its interval."""
        return {name: estimate.value for name, estimate in self.found.metrics.items()}

    @property
    def exit_code(self) -> int:
        """0 all done, 1 nothing could be evaluated, 3 finished but some failed."""
        if not self.found.cases:
            return 1
        failed = any(failure.level == "error" for failure in self.failures)
        drawn = 0 if self.figures is None else self.figures.exit_code
        return 3 if failed or drawn else 0


_LISTED = 5


def names_of(text: str | None) -> tuple[str, ...]:
    """``--class-names A,B`` as names."""
    if text is None:
        return ()
    names = tuple(name.strip() for name in text.split(","))
    if "" in names or len(set(names)) < len(names):
        raise InputError(f"--class-names {text!r}: give different names with commas between")
    return names


def as_dict(report: EvaluationReport) -> dict[str, Any]:
    """The result that ``--json`` prints."""
    found, figures = report.found, report.figures
    return {
        "output_dir": str(report.output_dir),
        "exit_code": report.exit_code,
        "task": found.kind,
        "target": found.target,
        "n": len(found.cases),
        "images_without_row": sum(entry.what == "image" for entry in report.unmatched),
        "rows_without_image": sum(entry.what == "row" for entry in report.unmatched),
        "already_there": report.inferred.already,
        "metrics": {name: asdict(value) for name, value in found.metrics.items()},
        "figures": 0 if figures is None else figures.drawn + figures.already,
        "files": [str(path) for path in report.files],
        "notes": report.notes,
        "troubles": [
            {"level": t.level, "image": t.case, "reason": t.reason} for t in report.failures
        ],
    }


def told(report: EvaluationReport) -> str:
    """What people want to know: the numbers, what was left out, where to look."""
    found, ran = report.found, report.inferred
    before = f", {ran.already} of them by an earlier run" if ran.already else ""
    lines = [f"{len(found.cases)} images evaluated{before}: {found.target}, {found.kind}"]
    rows = [[name, *_shown(value)] for name, value in found.metrics.items()]
    lines += [f"  {line}" for line in table([["", "value", "95 % interval"], *rows])]
    if found.localisation is not None:
        lines += describe(found.localisation)
    lines += report.notes
    for what, one, many in (
        ("image", "image has no row", "images have no row"),
        ("row", "row has no image", "rows have no image"),
        ("duplicate", "row repeats another", "rows repeat others"),
    ):
        count = sum(entry.what == what for entry in report.unmatched)
        if count:
            said = one if count == 1 else many
            lines.append(f"{count} {said}: see {report.output_dir / UNMATCHED}")
    wrong = [t for t in report.failures if t.level == "error"]
    warned = [t for t in report.failures if t.level != "error"]
    for level, failures in (("error", wrong), ("warning", warned)):
        lines += [one_line(f"{level}: {t.case}: {t.reason}") for t in failures[:_LISTED]]
        if len(failures) > _LISTED:
            rest = len(failures) - _LISTED
            lines.append(f"{level}: and {rest} more in {report.output_dir / FAILURES}")
    lines.append(f"all numbers: {report.output_dir / METRICS}; {len(report.files)} files in all")
    if report.figures is not None:
        count = report.figures.drawn + report.figures.already
        lines.append(f"{count} figures: {report.figures.output_dir}")
    return "\n".join(lines)


def _shown(estimate: Estimate) -> tuple[str, str]:
    if estimate.value is None:
        return "undefined", ""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.4g}", ""
    return f"{estimate.value:.4g}", f"{estimate.low:.4g} to {estimate.high:.4g}"
