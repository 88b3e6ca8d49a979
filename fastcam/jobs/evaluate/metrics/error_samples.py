"""Which images were predicted worst and best: as text for people and as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastcam.errors import one_line
from fastcam.jobs.evaluate.metrics.evaluation import EvaluatedCase, Evaluation
from fastcam.report.columns import table

# Longer lists aren't read; all errors are in predictions.csv.
_LISTED = 50


@dataclass(frozen=True)
class Samples:
    """A list of predictions.

    Attributes:
        title: what the list is called.
        rule: what its cases have in common, for people.
        count: how many cases fit the rule.
        cases: the first of them, in the list's order.
    """

    title: str
    rule: str
    count: int
    cases: tuple[EvaluatedCase, ...]


def high_threshold(cases: Sequence[EvaluatedCase]) -> float | None:
    """Mean + 2 standard deviations (n - 1) of the errors' magnitudes; None below two cases."""
    sizes = np.array([case.size for case in cases])
    return float(sizes.mean() + 2 * sizes.std(ddof=1)) if sizes.size > 1 else None


def high_errors(evaluation: Evaluation) -> Samples:
    """The worst predictions, the worst first.

    Of a regression those with errors above :func:`high_threshold`; of a classification the wrong
    ones, ordered by the probability of the true class.
    """
    worst = sorted(evaluation.cases, key=lambda case: (-case.size, case.place))
    if evaluation.kind == "classification":
        wrong = [case for case in worst if not case.good]
        return _samples("High errors", "predicted wrong", wrong)
    threshold = high_threshold(evaluation.cases)
    if threshold is None:
        return _samples("High errors", "one image has no mean + 2 SD", [])
    above = [case for case in worst if case.size > threshold]
    return _samples("High errors", f"|error| above {threshold:.4g}, its mean + 2 SD", above)


def low_errors(evaluation: Evaluation) -> Samples:
    """The best predictions, the best first: those of a regression whose errors are good, or those
    of a classification that are right."""
    best = [case for case in evaluation.ordered if case.good]
    if evaluation.kind == "classification":
        return _samples("Low errors", "predicted right", best)
    return _samples("Low errors", f"|error| below {evaluation.good_below:g}", best)


def samples_text(samples: Samples, evaluation: Evaluation) -> str:
    """The list as ``high_error_samples.txt`` has it, ending with a newline."""
    images = "image" if len(evaluation.cases) == 1 else "images"
    head = f"{samples.title}: {samples.count} of {len(evaluation.cases)} {images}; {samples.rule}"
    if samples.count > len(samples.cases):
        head += f"; the first {len(samples.cases)} are listed, all are in predictions.csv"
    if not samples.cases:
        return head + "\n"
    error = "error" if evaluation.kind == "regression" else "1 - p(true)"
    rows = [["rank", "image", f"true {evaluation.target_text}", "predicted", error]]
    for rank, case in enumerate(samples.cases, 1):
        rows.append(
            [
                str(rank),
                one_line(case.file),
                evaluation.value_text(case.true),
                evaluation.value_text(case.predicted),
                f"{case.error:+.4g}" if evaluation.kind == "regression" else f"{case.error:.4f}",
            ]
        )
    return "\n".join([head, "", *table(rows, left=2)]) + "\n"


def _samples(title: str, rule: str, cases: Sequence[EvaluatedCase]) -> Samples:
    return Samples(title, rule, len(cases), tuple(cases[:_LISTED]))
