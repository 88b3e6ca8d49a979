"""The numbers of a segmentation's test set as JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fastcam.jobs.evaluate.metrics.bootstrap import CONFIDENCE, RESAMPLES, Estimate
from fastcam.jobs.evaluate.metrics.evaluation import EvaluatedCase, Evaluation
from fastcam.jobs.evaluate.metrics.localization import LocalizationSummary
from fastcam.jobs.evaluate.metrics.segmentation import GOOD_DICE, METRICS, ClassMetrics
from fastcam.jobs.evaluate.segmentation_cases import SegmentedCase
from fastcam.report.json_text import json_text
from fastcam.run.csv_cells import csv_row

# Images of a class that are listed as its best and its worst.
_LISTED = 5
_COUNTS = ("true_pixels", "predicted_pixels")


def segmentation_json(
    evaluation: Evaluation,
    metrics: Sequence[ClassMetrics],
    localization: Mapping[int, LocalizationSummary],
    segmented: Sequence[SegmentedCase],
) -> str:
    """``test_metrics.json``; what is undefined is null."""
    content: dict[str, Any] = {
        "task": "segmentation",
        "target": evaluation.target,
        "unit": evaluation.unit,
        "n": len(evaluation.cases),
        **evaluation.facts,
        "metrics": {name: asdict(estimate) for name, estimate in evaluation.metrics.items()},
        "classes": [
            {
                **asdict(entry),
                **_ends(place, segmented),
                "localization": asdict(localization[entry.label])
                if entry.label in localization
                else None,
            }
            for place, entry in enumerate(metrics)
        ],
        "meaning": METRICS,
        "interval": {
            "confidence": CONFIDENCE,
            "method": "percentile bootstrap over images",
            "resamples": RESAMPLES,
        },
        "good": {
            "n": sum(case.good for case in evaluation.cases),
            "rule": f"mean Dice coefficient of the image's classes >= {GOOD_DICE:g}",
        },
    }
    if evaluation.cases:
        order = evaluation.ordered
        content["best"], content["worst"] = order[0].id, order[-1].id
    return json_text(content, indent=1)


def _ends(place: int, segmented: Sequence[SegmentedCase]) -> dict[str, list[dict[str, Any]]]:
    """The images with the highest and the lowest Dice coefficients of a class."""
    cases = [(case.overlaps[place].dice, case.header) for case in segmented]
    defined = [(dice, header.place, header.id) for dice, header in cases if dice is not None]
    best = sorted(defined, key=lambda entry: (-entry[0], entry[1]))[:_LISTED]
    worst = sorted(defined, key=lambda entry: entry[:2])[:_LISTED]
    return {
        name: [{"id": case_id, "dice": dice} for dice, _, case_id in entries]
        for name, entries in (("best", best), ("worst", worst))
    }


def classes_csv(
    overall: Mapping[str, Estimate],
    metrics: Sequence[ClassMetrics],
    localization: Mapping[int, LocalizationSummary],
) -> str:
    """A row a class, then their mean; each metric with the ends of its interval."""
    columns = ["class", "name", "present", "missed", "invented"]
    columns += [f"{name}{end}" for name in METRICS for end in ("", "_low", "_high")]
    columns += ["share_inside_mask", "mask_area", "hit_rate"]
    rows: list[list[Any]] = []
    for entry in metrics:
        row: list[Any] = [entry.label, entry.name, entry.present, entry.missed, entry.invented]
        row += _estimate_cells(entry.metrics)
        own = localization.get(entry.label)
        row += (
            ["", "", ""]
            if own is None
            else [_cell(own.all.share.mean), _cell(own.all.area.mean), _cell(own.all.hit_rate)]
        )
        rows.append(row)
    rows.append(["", "mean", "", "", "", *_estimate_cells(overall), "", "", ""])
    return _text([columns, *rows])


def segmented_cases_csv(
    segmented: Sequence[SegmentedCase],
    cases: Sequence[EvaluatedCase],
    metrics: Sequence[ClassMetrics],
) -> str:
    """``predictions.csv``, a row an image: its mean Dice coefficient, and all numbers by class."""
    measures = (*METRICS, *_COUNTS)
    columns = ["id", "file", "mean_dice", "good"]
    for entry in metrics:
        columns += [f"{entry.name}_{name}" for name in measures]
        columns += [f"{entry.name}_{name}" for name in ("share_inside_mask", "peak_inside_mask")]
    rows: list[list[Any]] = []
    for of_image, case in zip(segmented, cases, strict=True):
        row: list[Any] = [case.id, case.file, _cell(1.0 - case.error), case.good]
        for entry, overlap in zip(metrics, of_image.overlaps, strict=True):
            row += [_cell(getattr(overlap, name)) for name in METRICS]
            row += [getattr(overlap, name) for name in _COUNTS]
            own = of_image.localizations.get(entry.label)
            row += ["", ""] if own is None else [_cell(own.share), _truth(own.hit)]
        rows.append(row)
    return _text([columns, *rows])


def _estimate_cells(metrics: Mapping[str, Estimate]) -> list[str]:
    estimates = [metrics[name] for name in METRICS]
    return [_cell(value) for e in estimates for value in (e.value, e.low, e.high)]


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _truth(value: bool | None) -> str:
    return "" if value is None else str(value)


def _text(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(csv_row(row) for row in rows)
    return text.getvalue()
