"""What follows from a run of a segmentation over images with masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from fastcam.jobs.evaluate.cases import evaluated_case
from fastcam.jobs.evaluate.figure_selection import add_figures
from fastcam.jobs.evaluate.files import write_results
from fastcam.jobs.evaluate.metrics.evaluation import EvaluatedCase, Evaluation
from fastcam.jobs.evaluate.metrics.localization import LocalizationSummary, compare_groups
from fastcam.jobs.evaluate.metrics.segmentation import (
    GOOD_DICE,
    ClassMetrics,
    class_metrics,
    overall_metrics,
)
from fastcam.jobs.evaluate.plots.segmentation_page import segmentation_page
from fastcam.jobs.evaluate.report import METRICS as METRICS_FILE
from fastcam.jobs.evaluate.report import EvaluationReport
from fastcam.jobs.evaluate.request import EvaluateRequest
from fastcam.jobs.evaluate.segmentation_cases import SegmentationMeasure, SegmentedCase
from fastcam.jobs.evaluate.segmentation_files import (
    classes_csv,
    segmentation_json,
    segmented_cases_csv,
)
from fastcam.jobs.evaluate.segmentation_scoring import SegmentationScoring
from fastcam.jobs.infer.report import InferReport
from fastcam.run.progress import Progress
from fastcam.store.maps import MapStore


def evaluate_segmentation(
    request: EvaluateRequest,
    inferred: InferReport,
    store: MapStore,
    facts: dict[str, Any],
    progress: Progress,
) -> EvaluationReport:
    """Overlap and surface distances by class and over all of them, where the maps of each lie, the
    best and the worst images."""
    test_set, output_dir = request.test_set, request.output_dir
    failures = [*test_set.failures, *inferred.failures]
    classes = request.options.classes
    labels = tuple(range(1, classes))
    measure = SegmentationMeasure(store, request.inference.inputs.axes, classes, labels)
    segmented = measure.cases(failures, progress)
    scoring = SegmentationScoring(
        **{field.name: getattr(request.scoring, field.name) for field in fields(request.scoring)},
        labels=labels,
        overlaps=tuple((case.header.place, case.overlaps) for case in segmented),
    )
    request = replace(request, scoring=scoring)
    overlaps = [case.overlaps for case in segmented]
    metrics = class_metrics(overlaps, labels, [test_set.names[label] for label in labels])
    evaluation = Evaluation(
        kind="segmentation",
        target=test_set.target,
        good_below=1.0 - GOOD_DICE,
        cases=tuple(_cases(segmented, scoring)),
        metrics=overall_metrics(overlaps, len(labels)),
        names=test_set.names,
        classes=classes,
        facts=facts,
        unit=measure.unit,
    )
    localization = _localizations(segmented, metrics)
    texts = {
        METRICS_FILE: segmentation_json(evaluation, metrics, localization, segmented),
        "classes.csv": classes_csv(evaluation.metrics, metrics, localization),
        "predictions.csv": segmented_cases_csv(segmented, evaluation.cases, metrics),
    }
    page = segmentation_page(segmented, metrics, measure.unit, evaluation.remark)
    report = EvaluationReport(
        output_dir=output_dir,
        inferred=inferred,
        evaluation=evaluation,
        unmatched=test_set.unmatched,
        files=write_results(output_dir, texts, page, request.options.style),
        notes=[*test_set.notes, *inferred.notes, *_lines(metrics, localization, measure.unit)],
        failures=failures,
    )
    if segmented:
        add_figures(report, request, store, progress)
    return report


def _cases(segmented: Sequence[SegmentedCase], scoring: SegmentationScoring) -> list[EvaluatedCase]:
    cases = []
    for case in segmented:
        header, score = case.header, scoring.score(case.header)
        assert score is not None
        cases.append(evaluated_case(header, score))
    return cases


def _localizations(
    segmented: Sequence[SegmentedCase], metrics: Sequence[ClassMetrics]
) -> dict[int, LocalizationSummary]:
    """By class where its maps lie, images with a good Dice coefficient of it beside the others."""
    summaries = {}
    explained = dict.fromkeys(label for case in segmented for label in case.localizations)
    places = {entry.label: place for place, entry in enumerate(metrics)}
    for label in explained:
        # Of the class 0, which isn't measured, no image is good or bad.
        place = places.get(label)
        dice = [None if place is None else case.overlaps[place].dice for case in segmented]
        good = [None if value is None else value >= GOOD_DICE for value in dice]
        summaries[label] = compare_groups([c.localizations[label] for c in segmented], good)
    return summaries


def _lines(
    metrics: Sequence[ClassMetrics], localization: Mapping[int, LocalizationSummary], unit: str
) -> list[str]:
    """A line a class, for people."""
    lines = []
    for entry in metrics:
        dice, distance = entry.metrics["dice"], entry.metrics["hausdorff95"]
        text = "undefined" if dice.value is None else f"{dice.value:.3f}"
        if dice.low is not None and dice.high is not None:
            text += f" ({dice.low:.3f} to {dice.high:.3f})"
        line = f"{entry.name}: Dice {text}"
        if distance.value is not None:
            line += f", HD95 {distance.value:.3g} {unit}"
        line += f"; in {entry.present} images, missed in {entry.missed}, invented in "
        line += f"{entry.invented}"
        own = localization.get(entry.label)
        if own is not None and own.all.share.mean is not None:
            line += f"; {own.all.share.mean:.0%} of its map inside its mask, which is "
            line += f"{own.all.area.mean:.0%} of the image"
        lines.append(line)
    return lines
