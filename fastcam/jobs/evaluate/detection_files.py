"""The numbers of a detector's test set as JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fastcam.jobs.evaluate.detection_cases import DetectedCase
from fastcam.jobs.evaluate.detection_scoring import DetectionScoring
from fastcam.jobs.evaluate.metrics.bootstrap import CONFIDENCE, RESAMPLES
from fastcam.jobs.evaluate.metrics.detection import METRICS, TargetMetrics
from fastcam.jobs.evaluate.metrics.evaluation import Evaluation
from fastcam.report.json_text import json_text
from fastcam.run.csv_cells import csv_row

_CORNERS = ("x1", "y1", "x2", "y2")


def detection_json(
    evaluation: Evaluation, targets: Sequence[TargetMetrics], cases: Sequence[DetectedCase]
) -> str:
    """``test_metrics.json``; what is undefined is null. ``metrics`` are those of the first
    target."""
    content: dict[str, Any] = {
        "task": "detection",
        "target": evaluation.target,
        "n": len(evaluation.cases),
        "images": len(cases),
        "without_box": len(cases) - len(evaluation.cases),
        **evaluation.facts,
        "metrics": {name: asdict(estimate) for name, estimate in evaluation.metrics.items()},
        "targets": [asdict(entry) for entry in targets],
        "meaning": {name: METRICS[name] for name in evaluation.metrics},
        "interval": {
            "confidence": CONFIDENCE,
            "method": "percentile bootstrap over images",
            "resamples": RESAMPLES,
        },
        "good": {
            "n": sum(case.good for case in evaluation.cases),
            "rule": "the map is highest inside the box",
        },
    }
    if evaluation.cases:
        order = evaluation.ordered
        content["best"], content["worst"] = order[0].id, order[-1].id
    return json_text(content, indent=1)


def boxes_csv(targets: Sequence[TargetMetrics]) -> str:
    """A row a target, then one for each class of its boxes; metrics with the ends of their
    interval."""
    names = list(targets[0].metrics)
    columns = ["target", "label", "name", "boxes", "missing"]
    columns += [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    rows: list[list[Any]] = []
    for entry in targets:
        estimates = [entry.metrics[name] for name in names]
        cells = [_cell(value) for e in estimates for value in (e.value, e.low, e.high)]
        rows.append([entry.target, "", "all", entry.boxes, entry.missing, *cells])
        for own in entry.labels:
            cells = [cell for name in names for cell in (_cell(own.metrics[name]), "", "")]
            rows.append([entry.target, own.label, own.name, own.boxes, "", *cells])
    return _text([columns, *rows])


def detected_cases_csv(
    cases: Sequence[DetectedCase], targets: Sequence[TargetMetrics], scoring: DetectionScoring
) -> str:
    """``predictions.csv``, a row for each target of an image: its box in pixels of the image, label
    and score, and where its map lies; all empty where there is no such box."""
    names = list(targets[0].metrics)
    columns = ["id", "file", "target", "label", "name", *_CORNERS, *names, "remark"]
    rows: list[list[Any]] = []
    for case in cases:
        header = case.header
        file = "/".join(filter(None, [header.group, header.source.name]))
        for target, box in zip(targets, case.boxes, strict=True):
            row: list[Any] = [header.id, file, target.target]
            if box is None:
                rows.append([*row, *[""] * (len(columns) - 4), "no such box"])
                continue
            numbers = box.numbers()
            row += [box.label, scoring.value_text(box.label)]
            row += [_cell(corner) for corner in box.corners]
            row += [_truth(numbers[n]) if "peak" in n else _cell(numbers[n]) for n in names]
            reasons = [box.inside_box.reason]
            reasons += [] if box.inside_mask is None else [box.inside_mask.reason]
            # That of the map itself is said once.
            rows.append([*row, "; ".join(dict.fromkeys(filter(None, reasons)))])
    return _text([columns, *rows])


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _truth(value: float | None) -> str:
    return "" if value is None else str(bool(value))


def _text(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(csv_row(row) for row in rows)
    return text.getvalue()
