"""What follows from a run of a detector over images, whose true boxes nobody has to know."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from fastcam.jobs.evaluate.cases import evaluated_case
from fastcam.jobs.evaluate.detection_cases import DetectedCase, detected_cases
from fastcam.jobs.evaluate.detection_files import boxes_csv, detected_cases_csv, detection_json
from fastcam.jobs.evaluate.detection_scoring import DetectionScoring
from fastcam.jobs.evaluate.figure_selection import add_figures
from fastcam.jobs.evaluate.files import write_results
from fastcam.jobs.evaluate.metrics.bootstrap import Estimate
from fastcam.jobs.evaluate.metrics.detection import TargetMetrics, target_metrics
from fastcam.jobs.evaluate.metrics.evaluation import EvaluatedCase, Evaluation
from fastcam.jobs.evaluate.plots.detection_page import detection_page
from fastcam.jobs.evaluate.report import METRICS as METRICS_FILE
from fastcam.jobs.evaluate.report import EvaluationReport
from fastcam.jobs.evaluate.request import EvaluateRequest
from fastcam.jobs.infer.box_targets import box_notes
from fastcam.jobs.infer.report import InferReport
from fastcam.run.progress import Progress
from fastcam.store.maps import MapStore

# Facts of test sets with a table of true values.
_OF_TABLES = ("images_without_row", "rows_without_image", "duplicate_rows", "id_column")


def evaluate_detection(
    request: EvaluateRequest,
    inferred: InferReport,
    store: MapStore,
    facts: dict[str, Any],
    progress: Progress,
) -> EvaluationReport:
    """Scores of the explained boxes, where their maps lie, the best and the worst images.

    Images without such a box are counted, and are in no mean.
    """
    test_set, output_dir = request.test_set, request.output_dir
    failures = [*test_set.failures, *inferred.failures]
    targets = [str(box) for box in request.inference.maps.boxes]
    axes = request.inference.inputs.axes
    detected = detected_cases(store, targets, axes, failures, progress)
    scoring = DetectionScoring(
        **{field.name: getattr(request.scoring, field.name) for field in fields(request.scoring)},
        boxes=tuple((case.header.place, case.boxes) for case in detected),
    )
    request = replace(request, scoring=scoring)
    masked = any(case.header.mask_source is not None for case in detected)
    names = dict(enumerate(test_set.names))
    metrics = [
        target_metrics(target, [case.boxes[number] for case in detected], names, masked)
        for number, target in enumerate(targets)
    ]
    evaluation = Evaluation(
        kind="detection",
        target=test_set.target,
        good_below=request.scoring.good_below,
        cases=tuple(_cases(detected, scoring)),
        metrics=metrics[0].metrics,
        names=test_set.names,
        facts={name: fact for name, fact in facts.items() if name not in _OF_TABLES},
    )
    texts = {
        METRICS_FILE: detection_json(evaluation, metrics, detected),
        "boxes.csv": boxes_csv(metrics),
        "predictions.csv": detected_cases_csv(detected, metrics, scoring),
    }
    page = detection_page(detected, metrics, evaluation.remark)
    # They say of images without a box what is said again below.
    of_run = [note for note in inferred.notes if note not in box_notes(store)]
    report = EvaluationReport(
        output_dir=output_dir,
        inferred=inferred,
        evaluation=evaluation,
        files=write_results(output_dir, texts, page, request.options.style),
        notes=[*test_set.notes, *of_run, *itertools.chain(*map(_lines, metrics))],
        failures=failures,
    )
    if evaluation.cases:
        add_figures(report, request, store, progress)
    return report


def _cases(detected: Sequence[DetectedCase], scoring: DetectionScoring) -> list[EvaluatedCase]:
    scores = [(case.header, scoring.score(case.header)) for case in detected]
    return [evaluated_case(header, score) for header, score in scores if score is not None]


def _lines(entry: TargetMetrics) -> list[str]:
    """What was found of a target, a sentence each, for people."""
    first = f"{entry.target}: in {entry.boxes} of {entry.boxes + entry.missing} images"
    if entry.missing:
        verb, left_out = ("has", "is") if entry.missing == 1 else ("have", "are")
        first += f" ({entry.missing} {verb} no such box and {left_out} left out of all means)"
    if entry.boxes:
        first += f", mean score {_text(entry.metrics['score'])}"
    lines = [first]
    for name, summary in (("box", entry.inside_box), ("mask", entry.inside_mask)):
        if summary is None or not summary.n:
            continue
        why = "".join(f", {count} not: {text}" for text, count in summary.reasons.items())
        line = f"{entry.target}: {summary.measured} of {summary.n} maps measured against the {name}"
        line += why
        group = summary.all
        if group.share.mean is not None:
            line += f"; {_percent(group.share.mean)} of the map inside the {name}, which is "
            line += f"{_percent(group.area.mean)} of the image"
        if group.hit_rate is not None:
            line += f"; highest inside it in {_percent(group.hit_rate)}, by chance in "
            line += _percent(group.chance_hit_rate)
        lines.append(line)
    return lines


def _text(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _percent(share: float | None) -> str:
    """Whole percents, or two digits of less than ten."""
    if share is None:
        return "unknown"
    return f"{share:.0%}" if share >= 0.1 else f"{100 * share:.2g}%"
