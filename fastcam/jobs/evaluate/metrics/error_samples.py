"""Which images were predicted worst and best: as text for people and as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastcam.errors import one_line
from fastcam.jobs.evaluate.metrics.evaluation import EvaluatedCase, Evaluation
from fastcam.report.columns import table

# Longer lists aren't read; all errors are in predictions.csv.
LISTED = 50


@dataclass(frozen=True)
class Samples:
    """``cases`` as listed, of ``found`` that fit ``rule``, what they have in common."""

    title: str
    rule: str
    found: int
    cases: tuple[EvaluatedCase, ...]


def high_threshold(cases: Sequence[EvaluatedCase]) -> float | None:
    """Mean + 2 standard deviations (n - 1) of the errors' magnitudes; None below two cases."""
    sizes = np.array([case.size for case in cases])
    return float(sizes.mean() + 2 * sizes.std(ddof=1)) if sizes.size > 1 else None


def high_errors(found: Evaluation) -> Samples:
    """The worst first: errors of a regression above :func:`high_threshold`; wrong classes, those
    that gave the true one the least probability first."""
    worst = sorted(found.cases, key=lambda case: (-case.size, case.place))
    if found.kind == "classification":
        wrong = [case for case in worst if not case.good]
        return _samples("High errors", "predicted wrong", wrong)
    threshold = high_threshold(found.cases)
    if threshold is None:
        return _samples("High errors", "one image has no mean + 2 SD", [])
    above = [case for case in worst if case.size > threshold]
    return _samples("High errors", f"|error| above {threshold:.4g}, its mean + 2 SD", above)


def low_errors(found: Evaluation) -> Samples:
    """The best first: errors of a regression that are good; right classes, the surest first."""
    best = [c for c in sorted(found.cases, key=lambda case: (case.size, case.place)) if c.good]
    if found.kind == "classification":
        return _samples("Low errors", "predicted right", best)
    return _samples("Low errors", f"|error| below {found.good_below:g}", best)


def samples_text(samples: Samples, found: Evaluation) -> str:
    """The list as ``high_error_samples.txt`` has it, ending with a newline."""
    images = "image" if len(found.cases) == 1 else "images"
    head = f"{samples.title}: {samples.found} of {len(found.cases)} {images}; {samples.rule}"
    if samples.found > len(samples.cases):
        head += f"; the first {len(samples.cases)} are listed, all are in predictions.csv"
    if not samples.cases:
        return head + "\n"
    error = "error" if found.kind == "regression" else "1 - p(true)"
    rows = [["rank", "image", f"true {found.target}", "predicted", error]]
    for rank, case in enumerate(samples.cases, 1):
        shown = f"{case.error:+.4g}" if found.kind == "regression" else f"{case.error:.4f}"
        rows.append(
            [str(rank), one_line(case.file), found.said(case.true), found.said(case.predicted),
             shown]
        )  # fmt: skip
    return "\n".join([head, "", *table(rows, left=2)]) + "\n"


def _samples(title: str, rule: str, cases: Sequence[EvaluatedCase]) -> Samples:
    return Samples(title, rule, len(cases), tuple(cases[:LISTED]))
