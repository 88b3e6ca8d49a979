"""What an evaluation found, as numbers for programs: JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from fastcam.jobs.evaluate.metrics import classification, regression
from fastcam.jobs.evaluate.metrics.bootstrap import CONFIDENCE, RESAMPLES, Estimate
from fastcam.jobs.evaluate.metrics.localization import Localisation, LocalisationSummary
from fastcam.jobs.evaluate.metrics.regression import Group

Kind = Literal["regression", "classification"]


@dataclass(frozen=True)
class EvaluatedCase:
    """An image with its true value and its prediction.

    ``place`` is 1-based in the run, ``file`` the path within the image folder. Of a regression
    ``error`` is predicted - true; of a classification ``true`` and ``predicted`` are class numbers
    and ``error`` is 1 - probability of the true class; ``probability`` of every class. ``good``:
    an error below the limit, or the right class.
    """

    place: int
    id: str
    file: str
    true: float
    predicted: float
    error: float
    good: bool
    probability: tuple[float, ...] = ()
    localisation: Localisation | None = None

    @property
    def size(self) -> float:
        """The error's magnitude."""
        return abs(self.error)


@dataclass(frozen=True)
class Evaluation:
    """A test set: ``metrics`` by name, ``groups`` of the true value, and every case.

    ``names`` of the classes, where they have any. ``best`` and ``worst`` are ids, None where there
    is no case. ``facts`` about the run stand in the JSON as they are.
    """

    kind: Kind
    target: str
    good_below: float
    cases: tuple[EvaluatedCase, ...]
    metrics: dict[str, Estimate]
    groups: tuple[Group, ...] = ()
    names: tuple[str, ...] = ()
    classes: int = 0
    localisation: LocalisationSummary | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def ordered(self) -> list[EvaluatedCase]:
        """From the smallest error to the largest; ties by place."""
        return sorted(self.cases, key=lambda case: (case.size, case.place))

    def said(self, value: float) -> str:
        """A true value or prediction as people read it."""
        if self.kind == "regression":
            return f"{value:.4g}"
        return self.class_name(int(value))

    def class_name(self, place: int) -> str:
        """A class by its name, or its number."""
        return self.names[place] if self.names else str(place)


def evaluated(
    kind: Kind,
    target: str,
    good_below: float,
    cases: Sequence[EvaluatedCase],
    *,
    group_width: float = 10.0,
    names: tuple[str, ...] = (),
    classes: int = 0,
    localisation: LocalisationSummary | None = None,
    facts: dict[str, Any] | None = None,
) -> Evaluation:
    """Every number of a test set, from its cases."""
    true = np.array([case.true for case in cases])
    predicted = np.array([case.predicted for case in cases])
    if kind == "regression":
        metrics = regression.regression_metrics(true, predicted)
        groups = tuple(regression.groups(true, predicted, group_width))
    else:
        shares = np.array([case.probability for case in cases]).reshape(len(cases), classes)
        metrics = classification.classification_metrics(
            true.astype(np.int64), predicted.astype(np.int64), shares
        )
        groups = ()
    return Evaluation(
        kind, target, good_below, tuple(cases), metrics, groups, names, classes, localisation,
        facts or {},
    )  # fmt: skip


def metrics_json(found: Evaluation) -> str:
    """``test_metrics.json``; what is undefined is null."""
    of = regression if found.kind == "regression" else classification
    content: dict[str, Any] = {
        "task": found.kind,
        "target": found.target,
        "n": len(found.cases),
        **found.facts,
        "metrics": {name: asdict(value) for name, value in found.metrics.items()},
        "meaning": of.METRICS,
        "interval": {
            "confidence": CONFIDENCE,
            "method": "percentile bootstrap over images",
            "resamples": RESAMPLES,
        },
        "good": {
            "n": sum(case.good for case in found.cases),
            "rule": "predicted right"
            if found.kind == "classification"
            else f"|error| < {found.good_below:g}",
        },
    }
    if found.kind == "regression":
        content["groups"] = [
            {"group": regression.group_name(group), **asdict(group)} for group in found.groups
        ]
    else:
        true, predicted = (
            np.array([getattr(case, name) for case in found.cases], np.int64)
            for name in ("true", "predicted")
        )
        content["classes"] = [found.class_name(at) for at in range(found.classes)]
        content["confusion"] = classification.confusion(true, predicted, found.classes).tolist()
    if found.cases:
        order = found.ordered
        content["best"], content["worst"] = order[0].id, order[-1].id
    if found.localisation is not None:
        content["localisation"] = {
            **asdict(found.localisation),
            "cases": {c.id: asdict(c.localisation) for c in found.cases if c.localisation},
        }
    return as_json(content)


def predictions_json(found: Evaluation) -> str:
    """``predictions.json``: a list with an object for each image."""
    return as_json([_row(found, case) for case in found.cases])


def predictions_csv(found: Evaluation, cases: Sequence[EvaluatedCase] | None = None) -> str:
    """``predictions.csv``, or the like for some ``cases``; what is undefined is empty."""
    rows = [_flat(_row(found, case)) for case in (found.cases if cases is None else cases)]
    located = None if found.localisation is None else Localisation()
    example = EvaluatedCase(0, "", "", 0, 0, 0, False, (0.0,) * found.classes, located)
    columns = list(_flat(_row(found, example)))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows({name: row.get(name) for name in columns} for row in rows)
    return text.getvalue()


def as_json(content: Any) -> str:
    """Indented JSON without NaN: null takes its place."""
    return json.dumps(_finite(content), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _row(found: Evaluation, case: EvaluatedCase) -> dict[str, Any]:
    row: dict[str, Any] = {"id": case.id, "file": case.file}
    if found.kind == "regression":
        row |= {"true": case.true, "predicted": case.predicted, "error": case.error}
        row |= {"absolute_error": case.size, "good": case.good}
        row["group"] = regression.group_of(case.true, list(found.groups))
    else:
        row |= {"true": int(case.true), "predicted": int(case.predicted), "correct": case.good}
        if found.names:
            row["true_name"] = found.said(case.true)
            row["predicted_name"] = found.said(case.predicted)
        row["probability"] = list(case.probability)
    if case.localisation is not None:
        row["localisation"] = asdict(case.localisation)
    return row


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Lists and objects as columns of their own."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, list):
            flat |= {f"{name}_{at}": entry for at, entry in enumerate(value)}
        elif isinstance(value, dict):
            flat |= {f"{name}_{key}": entry for key, entry in value.items()}
        else:
            flat[name] = value
    return flat


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, np.generic):
        return _finite(content.item())
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
