"""What an evaluation did, for programs and for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fastcam.jobs.evaluate.metrics.bootstrap import Estimate
from fastcam.jobs.evaluate.metrics.evaluation import Evaluation
from fastcam.jobs.evaluate.metrics.localization import localization_lines
from fastcam.jobs.infer.report import InferReport
from fastcam.jobs.render.report import RenderReport
from fastcam.read.inputs.id_match import Unmatched
from fastcam.report.columns import table
from fastcam.run.failures import Report, exit_code, failure_lines
from fastcam.run.records import Failure

METRICS, UNMATCHED = "test_metrics.json", "unmatched.csv"


@dataclass(kw_only=True)
class EvaluationReport(Report):
    """What an evaluation did and found.

    Attributes:
        output_dir: the folder with everything.
        inferred: what the run of the model did.
        evaluation: the results.
        unmatched: images without a row and rows without an image.
        files: every file that was written, but for the store and ``figures``.
        figures: the run that drew the chosen images; None where only the best and the worst were
            drawn.
        notes: what users should know, a sentence each.
        failures: images that failed, and what was wrong with others.
    """

    output_dir: Path
    inferred: InferReport
    evaluation: Evaluation
    unmatched: tuple[Unmatched, ...] = ()
    files: list[Path] = field(default_factory=list)
    figures: RenderReport | None = None
    notes: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def __repr__(self) -> str:
        values = ", ".join(
            f"{name} {value:.4g}" for name, value in self.metrics.items() if value is not None
        )
        return f"<evaluation of {len(self.evaluation.cases)} images in {self.output_dir}: {values}>"

    @property
    def metrics(self) -> dict[str, float | None]:
        """Each metric by its name, without its interval."""
        return {name: estimate.value for name, estimate in self.evaluation.metrics.items()}

    @property
    def exit_code(self) -> int:
        """0 all done, 1 nothing could be evaluated, 3 finished but some failed."""
        if not self.evaluation.cases:
            return 1
        if self.figures is not None and self.figures.exit_code:
            return 3
        return exit_code(self.failures, finished=True)


def as_dict(report: EvaluationReport) -> dict[str, Any]:
    """The result that ``--json`` prints."""
    evaluation, figures = report.evaluation, report.figures
    return {
        "output_dir": str(report.output_dir),
        "exit_code": report.exit_code,
        "task": evaluation.kind,
        "target": evaluation.target,
        "random_weights": evaluation.random_weights,
        "n": len(evaluation.cases),
        "images_without_row": sum(entry.what == "image" for entry in report.unmatched),
        "rows_without_image": sum(entry.what == "row" for entry in report.unmatched),
        "already_there": report.inferred.already,
        "metrics": {name: asdict(value) for name, value in evaluation.metrics.items()},
        "figures": 0 if figures is None else figures.drawn + figures.already,
        "files": [str(path) for path in report.files],
        "notes": report.notes,
        "troubles": [
            {"level": t.level, "image": t.case, "reason": t.reason} for t in report.failures
        ],
    }


def summary_text(report: EvaluationReport) -> str:
    """What people want to know: the numbers, what was left out, where to look."""
    evaluation, inferred = report.evaluation, report.inferred
    before = f", {inferred.already} of them by an earlier run" if inferred.already else ""
    lines = [
        f"{len(evaluation.cases)} images evaluated{before}: {evaluation.target}, {evaluation.kind}"
    ]
    rows = [[name, *_estimate_texts(value)] for name, value in evaluation.metrics.items()]
    lines += [f"  {line}" for line in table([["", "value", "95 % interval"], *rows])]
    if evaluation.localization is not None:
        lines += localization_lines(evaluation.localization)
    lines += report.notes
    for kind, singular, plural in (
        ("image", "image has no row", "images have no row"),
        ("row", "row has no image", "rows have no image"),
        ("duplicate", "row repeats another", "rows repeat others"),
    ):
        count = sum(entry.what == kind for entry in report.unmatched)
        if count:
            text = singular if count == 1 else plural
            lines.append(f"{count} {text}: see {report.output_dir / UNMATCHED}")
    lines += failure_lines(report.failures, report.output_dir)
    lines.append(f"all numbers: {report.output_dir / METRICS}; {len(report.files)} files in all")
    if report.figures is not None:
        count = report.figures.drawn + report.figures.already
        lines.append(f"{count} figures: {report.figures.output_dir}")
    return "\n".join(lines)


def _estimate_texts(estimate: Estimate) -> tuple[str, str]:
    if estimate.value is None:
        return "undefined", ""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.4g}", ""
    return f"{estimate.value:.4g}", f"{estimate.low:.4g} to {estimate.high:.4g}"
