"""A whole test set: its cases, its metrics, and both as JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from fastcam.jobs.evaluate.metrics import classification, regression
from fastcam.jobs.evaluate.metrics.bootstrap import CONFIDENCE, RESAMPLES, Estimate, Floats
from fastcam.jobs.evaluate.metrics.findings import FindingsMetrics
from fastcam.jobs.evaluate.metrics.localization import Localization, LocalizationSummary
from fastcam.jobs.evaluate.metrics.regression import Group
from fastcam.jobs.evaluate.scoring import Kind
from fastcam.report.json_text import json_text
from fastcam.run.csv_cells import csv_record

# What is said of a model with such weights.
RANDOM_NUMBERS = "Random weights: these maps and numbers mean nothing."


@dataclass(frozen=True, kw_only=True)
class EvaluatedCase:
    """An image with its true value and its prediction.

    Attributes:
        place: the image's 1-based number in the run.
        id: the image's id.
        file: its path within the image folder.
        true: the true value, or the number of the true class.
        predicted: the predicted value, or the number of the predicted class.
        error: of a regression predicted - true; of a classification 1 - probability of the true
            class.
        good: an error below the limit, or the right class.
        probability: of each class; empty for a regression.
        ranking: (k,) what orders images as the probability of each class does, without its
            rounding; empty where it is the probability.
        localization: where its map lies against its mask; None where there are no masks.
    """

    place: int
    id: str
    file: str
    true: float
    predicted: float
    error: float
    good: bool
    probability: tuple[float, ...] = ()
    ranking: Floats = field(default_factory=lambda: np.empty(0), compare=False, repr=False)
    localization: Localization | None = None

    @property
    def size(self) -> float:
        """The error's magnitude."""
        return abs(self.error)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The results of a test set.

    Attributes:
        kind: what kind of task it is.
        target: the column of the true values.
        good_below: errors of a regression below it are good.
        cases: every image.
        metrics: each metric with its interval, by name.
        groups: errors by groups of the true value; of a regression.
        findings: the metrics by finding; of multilabel models.
        names: names of the classes; empty where they have none.
        classes: number of classes; 0 for a regression.
        localization: where the maps lie against their masks; None where there are no masks.
        facts: about the run, for the JSON file as they are.
        unit: of a regression's values; empty where it isn't known.
    """

    kind: Kind
    target: str
    good_below: float
    cases: tuple[EvaluatedCase, ...]
    metrics: dict[str, Estimate]
    groups: tuple[Group, ...] = ()
    findings: FindingsMetrics | None = None
    names: tuple[str, ...] = ()
    classes: int = 0
    localization: LocalizationSummary | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    unit: str = ""

    @property
    def random_weights(self) -> bool:
        """Whether the model's weights were those that it was made with."""
        return bool(self.facts.get("random_weights"))

    @property
    def remark(self) -> str:
        """What is said of random weights; empty for others."""
        return RANDOM_NUMBERS if self.random_weights else ""

    @property
    def target_text(self) -> str:
        """The target with its unit: ``age (years)``."""
        return f"{self.target} ({self.unit})" if self.unit else self.target

    def with_unit(self, text: str) -> str:
        """A number as text, and its unit."""
        return f"{text} {self.unit}" if self.unit else text

    @property
    def ordered(self) -> list[EvaluatedCase]:
        """From the smallest error to the largest; ties by place."""
        return sorted(self.cases, key=lambda case: (case.size, case.place))

    @property
    def localizations(self) -> list[Localization]:
        """Those of the cases that have one, in their order."""
        return [case.localization for case in self.cases if case.localization is not None]

    def value_text(self, value: float) -> str:
        """A true value or prediction as people read it."""
        if self.kind == "regression":
            return f"{value:.4g}"
        return self.class_name(int(value))

    def class_name(self, index: int) -> str:
        """A class by its name, or its number."""
        return self.names[index] if self.names else str(index)


def rankings_of(cases: Sequence[EvaluatedCase], classes: int) -> Floats:
    """(n, k) by what the cases are ranked for each class."""
    rows = [case.ranking if case.ranking.size else case.probability for case in cases]
    return np.array(rows, np.float64).reshape(len(cases), classes)


def evaluation_of(
    kind: Kind,
    target: str,
    good_below: float,
    cases: Sequence[EvaluatedCase],
    *,
    group_width: float = 10.0,
    names: tuple[str, ...] = (),
    classes: int = 0,
    localization: LocalizationSummary | None = None,
    facts: dict[str, Any] | None = None,
    unit: str = "",
) -> Evaluation:
    """Every number of a test set, from its cases."""
    true = np.array([case.true for case in cases])
    predicted = np.array([case.predicted for case in cases])
    groups: tuple[Group, ...] = ()
    if kind == "regression":
        metrics = regression.regression_metrics(true, predicted)
        groups = tuple(regression.value_groups(true, predicted, group_width))
    else:
        shares = np.array([case.probability for case in cases]).reshape(len(cases), classes)
        metrics = classification.classification_metrics(
            true.astype(np.int64),
            predicted.astype(np.int64),
            shares,
            rankings_of(cases, classes),
        )
    return Evaluation(
        kind=kind,
        target=target,
        good_below=good_below,
        cases=tuple(cases),
        metrics=metrics,
        groups=groups,
        names=names,
        classes=classes,
        localization=localization,
        facts=facts or {},
        unit=unit,
    )


def metrics_json(evaluation: Evaluation) -> str:
    """``test_metrics.json``; what is undefined is null."""
    module = regression if evaluation.kind == "regression" else classification
    content: dict[str, Any] = {
        "task": evaluation.kind,
        "target": evaluation.target,
        **({"unit": evaluation.unit} if evaluation.unit else {}),
        "n": len(evaluation.cases),
        **evaluation.facts,
        "metrics": {name: asdict(value) for name, value in evaluation.metrics.items()},
        "meaning": module.METRICS,
        "interval": {
            "confidence": CONFIDENCE,
            "method": "percentile bootstrap over images",
            "resamples": RESAMPLES,
        },
        "good": {
            "n": sum(case.good for case in evaluation.cases),
            "rule": "predicted right"
            if evaluation.kind == "classification"
            else f"|error| < {evaluation.good_below:g}",
        },
    }
    if evaluation.kind == "regression":
        content["groups"] = [
            {"group": regression.group_name(group), **asdict(group)} for group in evaluation.groups
        ]
    else:
        true, predicted = (
            np.array([getattr(case, name) for case in evaluation.cases], np.int64)
            for name in ("true", "predicted")
        )
        counts = classification.confusion_counts(true, predicted, evaluation.classes)
        content["classes"] = [evaluation.class_name(c) for c in range(evaluation.classes)]
        content["confusion"] = counts.tolist()
    if evaluation.cases:
        order = evaluation.ordered
        content["best"], content["worst"] = order[0].id, order[-1].id
    if evaluation.localization is not None:
        content["localization"] = {
            **asdict(evaluation.localization),
            "cases": {c.id: asdict(c.localization) for c in evaluation.cases if c.localization},
        }
    return json_text(content, indent=1)


def predictions_json(evaluation: Evaluation) -> str:
    """``predictions.json``: a list with an object for each image."""
    return json_text([_row(evaluation, case) for case in evaluation.cases], indent=1)


def predictions_csv(evaluation: Evaluation, cases: Sequence[EvaluatedCase] | None = None) -> str:
    """``predictions.csv``, or the like for some ``cases``; what is undefined is empty."""
    rows = [
        _flat(_row(evaluation, case)) for case in (evaluation.cases if cases is None else cases)
    ]
    example = EvaluatedCase(
        place=0,
        id="",
        file="",
        true=0,
        predicted=0,
        error=0,
        good=False,
        probability=(0.0,) * evaluation.classes,
        localization=None if evaluation.localization is None else Localization(),
    )
    columns = list(_flat(_row(evaluation, example)))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(csv_record({name: row.get(name) for name in columns}) for row in rows)
    return text.getvalue()


def _row(evaluation: Evaluation, case: EvaluatedCase) -> dict[str, Any]:
    row: dict[str, Any] = {"id": case.id, "file": case.file}
    if evaluation.kind == "regression":
        row |= {"true": case.true, "predicted": case.predicted, "error": case.error}
        row |= {"absolute_error": case.size, "good": case.good}
        row["group"] = regression.group_of(case.true, evaluation.groups)
    else:
        row |= {"true": int(case.true), "predicted": int(case.predicted), "correct": case.good}
        if evaluation.names:
            row["true_name"] = evaluation.value_text(case.true)
            row["predicted_name"] = evaluation.value_text(case.predicted)
        row["probability"] = list(case.probability)
    if case.localization is not None:
        row["localization"] = asdict(case.localization)
    return row


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Lists and objects as columns of their own."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, list):
            flat |= {f"{name}_{index}": entry for index, entry in enumerate(value)}
        elif isinstance(value, dict):
            flat |= {f"{name}_{key}": entry for key, entry in value.items()}
        else:
            flat[name] = value
    return flat
