"""What follows from a run over a test set with many findings an image."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from fastcam.jobs.evaluate.cases import evaluated_case
from fastcam.jobs.evaluate.figure_selection import add_figures
from fastcam.jobs.evaluate.files import write_results
from fastcam.jobs.evaluate.findings_maps import draw_finding_ends, maps_by_finding, write_filters
from fastcam.jobs.evaluate.metrics.bootstrap import CONFIDENCE, RESAMPLES, Estimate
from fastcam.jobs.evaluate.metrics.evaluation import EvaluatedCase, Evaluation, rankings_of
from fastcam.jobs.evaluate.metrics.findings import METRICS, FindingsMetrics, findings_metrics
from fastcam.jobs.evaluate.metrics.localization import LocalizationSummary
from fastcam.jobs.evaluate.plots.findings_page import findings_page
from fastcam.jobs.evaluate.report import METRICS as METRICS_FILE
from fastcam.jobs.evaluate.report import EvaluationReport
from fastcam.jobs.evaluate.request import EvaluateRequest
from fastcam.jobs.infer.report import InferReport
from fastcam.read.inputs.finding_columns import label_values
from fastcam.report.json_text import json_text
from fastcam.run.csv_cells import csv_row
from fastcam.run.failures import add_failures
from fastcam.run.progress import Progress
from fastcam.store.maps import MapStore

# Images of a finding that are listed as its worst.
_WORST = 5


def evaluate_findings(
    request: EvaluateRequest,
    inferred: InferReport,
    store: MapStore,
    facts: dict[str, Any],
    progress: Progress,
) -> EvaluationReport:
    """Metrics by finding and over all of them, where the maps of each lie, the best and the worst.

    Masks are in a folder for each finding, called like it, within that of the masks.
    """
    test_set, scoring, output_dir = request.test_set, request.scoring, request.output_dir
    failures = [*test_set.failures, *inferred.failures]
    cases, true = _cases(request, store)
    names = test_set.names
    # Where every image failed the number of findings can't be told from the cases.
    probability = np.array([case.probability for case in cases]).reshape(len(cases), len(names))
    ranking = rankings_of(cases, len(names))
    metrics = findings_metrics(true, probability, names, ranking)
    evaluation = Evaluation(
        kind="multilabel",
        target=test_set.target,
        good_below=scoring.good_below,
        cases=tuple(cases),
        metrics={
            **{f"macro_{name}": estimate for name, estimate in metrics.macro.items()},
            **{f"micro_{name}": estimate for name, estimate in metrics.micro.items()},
        },
        findings=metrics,
        names=names,
        classes=len(names),
        facts=facts,
    )
    maps = maps_by_finding(request, store, cases, true, failures)
    localization = {n: m.localization for n, m in maps.items() if m.localization is not None}
    worst = {name: _worst(cases, true, number) for number, name in enumerate(names)}
    texts = {
        METRICS_FILE: _metrics_json(evaluation, metrics, localization, worst),
        "findings.csv": _findings_csv(metrics, localization),
        "predictions.csv": _predictions_csv(cases, true, names),
    }
    page = findings_page(true, probability, ranking, metrics, evaluation.remark)
    report = EvaluationReport(
        output_dir=output_dir,
        inferred=inferred,
        evaluation=evaluation,
        unmatched=test_set.unmatched,
        files=write_results(output_dir, texts, page, request.options.style),
        notes=[*test_set.notes, *inferred.notes, *_lines(metrics, localization)],
        failures=failures,
    )
    if cases:
        add_figures(report, request, store, progress)
        files, problems = draw_finding_ends(request, store, maps)
        report.files += files
        add_failures(failures, problems)
        report.files += write_filters(request, cases, true)
    return report


def _cases(
    request: EvaluateRequest, store: MapStore
) -> tuple[list[EvaluatedCase], np.ndarray[Any, np.dtype[np.float64]]]:
    """The images that have a prediction, and their true values (n, k)."""
    cases: list[EvaluatedCase] = []
    rows: list[tuple[float, ...]] = []
    for header in store.headers:
        score = request.scoring.score(header)
        if score is None:
            continue
        cases.append(evaluated_case(header, score))
        rows.append(label_values(header.label))
    return cases, np.array(rows).reshape(len(rows), len(request.test_set.names))


def _worst(
    cases: Sequence[EvaluatedCase], true: np.ndarray[Any, np.dtype[np.float64]], number: int
) -> list[dict[str, Any]]:
    """The images of which a finding's probability is farthest from what is true."""
    errors = [
        (abs(case.probability[number] - true[index, number]), case, true[index, number])
        for index, case in enumerate(cases)
        if math.isfinite(true[index, number])
    ]
    errors.sort(key=lambda entry: (-entry[0], entry[1].place))
    return [
        {"id": case.id, "true": int(value), "probability": case.probability[number]}
        for _, case, value in errors[:_WORST]
    ]


def _metrics_json(
    evaluation: Evaluation,
    metrics: FindingsMetrics,
    localization: Mapping[str, LocalizationSummary],
    worst: Mapping[str, list[dict[str, Any]]],
) -> str:
    content = {
        "task": "multilabel",
        "target": evaluation.target,
        "n": len(evaluation.cases),
        **evaluation.facts,
        "micro": {name: asdict(estimate) for name, estimate in metrics.micro.items()},
        "macro": {name: asdict(estimate) for name, estimate in metrics.macro.items()},
        "findings": [
            {
                **asdict(finding),
                "worst": worst[finding.name],
                "localization": asdict(localization[finding.name])
                if finding.name in localization
                else None,
            }
            for finding in metrics.findings
        ],
        "meaning": METRICS,
        "interval": {
            "confidence": CONFIDENCE,
            "method": "percentile bootstrap over images",
            "resamples": RESAMPLES,
        },
    }
    return json_text(content, indent=1)


def _findings_csv(metrics: FindingsMetrics, localization: Mapping[str, LocalizationSummary]) -> str:
    """A row a finding, then micro and macro; each metric with the ends of its interval."""
    columns = ["finding", "present", "absent", "unknown", "threshold"]
    columns += [f"{name}{end}" for name in METRICS for end in ("", "_low", "_high")]
    columns += ["share_inside_mask"] if localization else []
    rows = []
    for finding in metrics.findings:
        row: list[Any] = [finding.name, finding.present, finding.absent, finding.unknown]
        row += [_cell(finding.threshold), *_ends(finding.metrics)]
        if localization:
            own = localization.get(finding.name)
            row.append("" if own is None else _cell(own.all.share.mean))
        rows.append(row)
    for name, of_all in (("micro", metrics.micro), ("macro", metrics.macro)):
        rows.append([name, "", "", "", "", *_ends(of_all), *[""] * bool(localization)])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(csv_row, [columns, *rows]))
    return text.getvalue()


def _ends(metrics: Mapping[str, Estimate]) -> list[Any]:
    cells: list[Any] = []
    for name in METRICS:
        estimate = metrics.get(name, Estimate(None))
        cells += [_cell(estimate.value), _cell(estimate.low), _cell(estimate.high)]
    return cells


def _predictions_csv(
    cases: Sequence[EvaluatedCase],
    true: np.ndarray[Any, np.dtype[np.float64]],
    names: Sequence[str],
) -> str:
    """A row an image: of each finding what is true, and its probability."""
    columns = ["id", "file", "error", "all_right"]
    columns += [f"{name}_{suffix}" for name in names for suffix in ("true", "probability")]
    rows = []
    for case, values in zip(cases, true.tolist(), strict=True):
        row: list[Any] = [case.id, case.file, _cell(case.error), case.good]
        for value, share in zip(values, case.probability, strict=True):
            row += [int(value) if math.isfinite(value) else "", _cell(share)]
        rows.append(row)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(csv_row, [columns, *rows]))
    return text.getvalue()


def _lines(metrics: FindingsMetrics, localization: Mapping[str, LocalizationSummary]) -> list[str]:
    """A line a finding, for people."""
    lines = []
    for finding in metrics.findings:
        auc = finding.metrics["auc"]
        text = "undefined" if auc.value is None else f"{auc.value:.3f}"
        if auc.low is not None and auc.high is not None:
            text += f" ({auc.low:.3f} to {auc.high:.3f})"
        line = f"{finding.name}: AUC {text}; {finding.present} present, {finding.absent} absent"
        line += f", {finding.unknown} unknown and left out" if finding.unknown else ""
        own = localization.get(finding.name)
        if own is not None and own.all.share.mean is not None:
            line += f"; {own.all.share.mean:.0%} of its map inside its mask, which is "
            line += f"{own.all.area.mean:.0%} of the image"
        lines.append(line)
    return lines


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
