"""The job of ``fastcam evaluate``: a model over a test set, and everything that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastcam.inference.device import choose_device
from fastcam.jobs.evaluate.cases import evaluated_cases
from fastcam.jobs.evaluate.detection_job import evaluate_detection
from fastcam.jobs.evaluate.faithfulness_check import measure_faithfulness
from fastcam.jobs.evaluate.figure_selection import EXPLAINED, add_figures
from fastcam.jobs.evaluate.files import write_numbers, write_plots, write_unmatched
from fastcam.jobs.evaluate.findings_job import evaluate_findings
from fastcam.jobs.evaluate.method_check import compare_methods
from fastcam.jobs.evaluate.metrics.evaluation import EvaluatedCase, evaluation_of
from fastcam.jobs.evaluate.metrics.localization import LocalizationSummary, compare_groups
from fastcam.jobs.evaluate.metrics.stability import STABILITY, stability_of, stability_table
from fastcam.jobs.evaluate.report import EvaluationReport
from fastcam.jobs.evaluate.request import EvaluateRequest
from fastcam.jobs.evaluate.segmentation_job import evaluate_segmentation
from fastcam.jobs.evaluate.test_set import EvaluationSet
from fastcam.jobs.infer.job import infer_maps
from fastcam.jobs.infer.report import InferReport
from fastcam.jobs.render.gallery import PAGE, check_page
from fastcam.jobs.render.picture_page import PICTURES, PictureGroup, write_picture_page
from fastcam.options import MapChoice
from fastcam.read.inputs.finding_columns import label_values
from fastcam.run.failures import FAILURES, write_failures
from fastcam.run.files import write_text
from fastcam.run.progress import Progress
from fastcam.store.map_rows import choose_rows
from fastcam.store.maps import MapStore

# Those that don't compare one answer an image with one true value.
_OTHER_KINDS = {
    "multilabel": evaluate_findings,
    "segmentation": evaluate_segmentation,
    "detection": evaluate_detection,
}


def evaluate_set(request: EvaluateRequest, progress: Progress) -> EvaluationReport:
    """Run the model over the images, then report from the store; a finished run isn't repeated.

    Raises :class:`InputError` where the model, the settings or the images can't be used, and
    :class:`OutputError` where a file can't be written.
    """
    test_set, scoring, options = request.test_set, request.scoring, request.options
    output_dir = request.output_dir
    check_page(output_dir / PAGE)
    inferred = infer_maps(
        request.model,
        request.inference,
        output_dir,
        overwrite=request.overwrite,
        progress=progress,
        choice=request.choice,
    )
    if request.choice is not None:
        # It stayed on the CPU, and may have a share in what follows.
        request.model.to(choose_device(request.inference.options.device))
    store = MapStore.open(inferred.store)
    if scoring.kind in _OTHER_KINDS:
        facts = _facts(store, test_set, inferred)
        report = _OTHER_KINDS[scoring.kind](request, inferred, store, facts, progress)
        _add_stability(report, request, store)
        _finish(report)
        return report
    failures = [*test_set.failures, *inferred.failures]
    cases = evaluated_cases(store, scoring, request.inference.inputs.axes, failures)
    evaluation = evaluation_of(
        scoring.kind,
        test_set.target,
        scoring.good_below,
        cases,
        group_width=options.group_width,
        names=scoring.names,
        classes=options.classes,
        localization=_localization(cases),
        facts=_facts(store, test_set, inferred),
        unit=scoring.unit,
    )
    report = EvaluationReport(
        output_dir=output_dir,
        inferred=inferred,
        evaluation=evaluation,
        unmatched=test_set.unmatched,
        files=[
            *write_numbers(evaluation, output_dir),
            *write_plots(evaluation, output_dir, options.style),
        ],
        notes=[*test_set.notes, *inferred.notes],
        failures=failures,
    )
    if cases:
        add_figures(report, request, store, progress)
        if options.faithfulness_images:
            names, verdicts = measure_faithfulness(request, store, evaluation, progress)
            report.files += [output_dir / name for name in names]
            report.notes += verdicts
        if options.compared_images:
            names, lines = compare_methods(request, store, evaluation, failures, progress)
            report.files += [output_dir / name for name in names]
            report.notes += lines
    _add_stability(report, request, store)
    _finish(report)
    return report


def _add_stability(report: EvaluationReport, request: EvaluateRequest, store: MapStore) -> None:
    """Say how stable the maps of right and of wrong predictions are, and write it down; of many
    findings each by itself.

    Of a segmentation, whose maps are of classes, an image is right as a whole or not.
    """
    evaluation = report.evaluation
    headers = [store.headers[case.place - 1] for case in evaluation.cases]
    if not headers:
        return
    good: ArrayLike = [case.good for case in evaluation.cases]
    targets: Sequence[str] = ("",)
    if evaluation.kind == "multilabel":
        true = np.array([label_values(header.label) for header in headers])
        found = np.array([case.probability for case in evaluation.cases]) >= 0.5
        good = np.where(np.isnan(true), np.nan, (true == 1) == found)
        targets = evaluation.names
    elif evaluation.kind == "segmentation":
        targets = [str(segment) for segment in request.inference.maps.segments]
        # A map of no pixels says nothing, and isn't unstable.
        pixels = np.array([header.pixels for header in headers]).reshape(len(headers), -1)
        good = np.where(pixels > 0, np.array(good, np.float64)[:, None], np.nan)
    kind = str(store.attrs.settings.get("augmentation", ""))
    stabilities = stability_of(headers, good, store.measure_names, kind, targets)
    if stabilities:
        write_text(report.output_dir / STABILITY, stability_table(stabilities))
        report.files.append(report.output_dir / STABILITY)
        report.notes += [one.line for one in stabilities]


def _finish(report: EvaluationReport) -> None:
    """Write what every evaluation ends with: rows and images without each other, failures, and the
    page over the files that the report lists; and say of random weights that they are such."""
    report.notes[:0] = filter(None, [report.evaluation.remark])
    report.files += write_unmatched(report.unmatched, report.output_dir)
    write_failures(report.output_dir, report.failures)
    report.files += [report.output_dir / FAILURES] if report.failures else []
    report.files.append(_write_page(report))


def _write_page(report: EvaluationReport) -> Path:
    """``index.html``: the plots and figures that the report lists, and links to the rest."""
    names = [path.relative_to(report.output_dir).as_posix() for path in report.files]
    explained = f"{EXPLAINED}/{PAGE}"
    if (report.output_dir / explained).is_file():
        names.append(explained)
    evaluation = report.evaluation
    pictures = [name for name in names if name.endswith(PICTURES)]
    group = PictureGroup(
        "results", f"{len(evaluation.cases)} images", None, pictures, of_case=False
    )
    return write_picture_page(
        report.output_dir,
        f"{evaluation.target}, {evaluation.kind}",
        [group],
        files=[name for name in names if name not in pictures],
        failures=report.failures,
        random_weights="random weights" if evaluation.random_weights else "",
    )


def _localization(cases: Sequence[EvaluatedCase]) -> LocalizationSummary | None:
    pairs = [(c.localization, c.good) for c in cases if c.localization is not None]
    if not pairs:
        return None
    return compare_groups([entry for entry, _ in pairs], [good for _, good in pairs])


def _facts(store: MapStore, test_set: EvaluationSet, inferred: InferReport) -> dict[str, Any]:
    rows = choose_rows(store, MapChoice()) if store.map_names else ()
    return {
        "failed": len(test_set.failures) + inferred.failed,
        "images_without_row": test_set.unmatched_count("image"),
        "rows_without_image": test_set.unmatched_count("row"),
        "duplicate_rows": test_set.unmatched_count("duplicate"),
        "id_column": test_set.id_column,
        "model": store.attrs.model,
        "checkpoint": store.attrs.checkpoint,
        "random_weights": bool(store.attrs.settings.get("random_weights")),
        "maps": [row.caption for row in rows],
        "sign": store.attrs.settings.get("sign"),
    }
