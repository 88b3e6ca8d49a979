"""The job of ``fastcam evaluate``: a model over a test set, and everything that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcam.jobs.evaluate.faithfulness import measure_trust
from fastcam.jobs.evaluate.figures import draw_ends, draw_explained
from fastcam.jobs.evaluate.files import _write_numbers, _write_plots, _write_unmatched
from fastcam.jobs.evaluate.map_localization import _localised
from fastcam.jobs.evaluate.metrics import localization
from fastcam.jobs.evaluate.metrics.evaluation import (
    EvaluatedCase,
    evaluated,
)
from fastcam.jobs.evaluate.metrics.localization import Localisation
from fastcam.jobs.evaluate.report import EvaluationReport
from fastcam.jobs.evaluate.request import EvaluateOptions
from fastcam.jobs.evaluate.scoring import Scoring
from fastcam.jobs.evaluate.test_set import EvaluationSet
from fastcam.jobs.infer.job import infer_maps
from fastcam.jobs.infer.report import InferReport
from fastcam.jobs.infer.request import InputChoice, InferenceOptions
from fastcam.options import Axes, MapChoice
from fastcam.run.folder import FAILURES, write_failures
from fastcam.run.progress import Progress
from fastcam.run.records import Failure, _add
from fastcam.store.map_rows import choose_rows
from fastcam.store.map_schema import MapHeader
from fastcam.store.maps import MapStore

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.request import MapRequest
    from fastcam.read.inputs.preprocess import Preprocessing


def evaluate_set(
    model: nn.Module,
    described: dict[str, Any],
    spec: Preprocessing,
    chosen: EvaluationSet,
    axes: Axes,
    wanted: MapRequest,
    running: InferenceOptions,
    scoring: Scoring,
    reporting: EvaluateOptions,
    output_dir: Path,
    overwrite: bool,
    progress: Progress,
) -> EvaluationReport:
    """Run the model over the images, then report from the store; a finished run isn't repeated."""
    choice = InputChoice((), axes=axes, items=chosen.items)
    inferred = infer_maps(
        model, described, spec, choice, wanted, running, output_dir, overwrite, progress
    )
    store = MapStore.open(inferred.store)
    failures = [*chosen.failures, *inferred.failures]
    cases = _cases(store, scoring, failures, axes)
    found = evaluated(
        scoring.kind, chosen.target, scoring.good_below, cases,
        group_width=reporting.group_width, names=scoring.names, classes=reporting.classes,
        localisation=_compared(cases), facts=_facts(store, chosen, inferred),
    )  # fmt: skip
    report = EvaluationReport(output_dir, inferred, found, chosen.unmatched)
    report.notes = [*chosen.notes, *inferred.notes]
    report.failures = failures
    report.files = [*_write_numbers(found, output_dir), *_write_plots(found, output_dir)]
    if cases:
        ends, wrong = draw_ends(store, found, output_dir, reporting.style, scoring)
        report.files += ends
        _add(failures, wrong)
        report.figures = draw_explained(
            store, found, reporting.explain, output_dir, reporting.style, scoring,
            reporting.workers, progress,
        )  # fmt: skip
        if reporting.faithfulness:
            made, said = measure_trust(
                model, store, found, spec, wanted, running.task, axes, reporting.faithfulness,
                output_dir, progress,
            )  # fmt: skip
            report.files += made
            report.notes += said
    report.files += _write_unmatched(chosen.unmatched, output_dir)
    write_failures(output_dir / FAILURES, failures)
    report.files += [output_dir / FAILURES] if failures else []
    return report


def _cases(
    store: MapStore, scoring: Scoring, failures: list[Failure], axes: Axes
) -> list[EvaluatedCase]:
    score = [(index, scoring.score(header)) for index, header in enumerate(store.headers)]
    known = [(index, said) for index, said in score if said is not None]
    masked = any(header.mask_source is not None for header in store.headers)
    located: dict[int, Localisation] = {}
    if masked and store.map_names:
        row = choose_rows(store, MapChoice())[0]
        located = _localised(store, row, [index for index, _ in known], axes, failures)
    cases = []
    for index, said in known:
        header = store.headers[index]
        cases.append(
            EvaluatedCase(
                header.place, header.id, _file(header), said.true, said.predicted, said.error,
                said.good, tuple(said.probability.astype(float).tolist()), located.get(index),
            )
        )  # fmt: skip
    return cases


def _file(header: MapHeader) -> str:
    return "/".join(filter(None, [header.group, header.source.name]))


def _compared(cases: Sequence[EvaluatedCase]) -> localization.LocalisationSummary | None:
    located = [case.localisation for case in cases if case.localisation is not None]
    if not located:
        return None
    return localization.compare_groups(located, [case.good for case in cases])


def _facts(store: MapStore, chosen: EvaluationSet, inferred: InferReport) -> dict[str, Any]:
    rows = choose_rows(store, MapChoice()) if store.map_names else ()
    return {
        "failed": len(chosen.failures) + inferred.failed,
        "images_without_row": chosen.alone("image"),
        "rows_without_image": chosen.alone("row"),
        "duplicate_rows": chosen.alone("duplicate"),
        "id_column": chosen.id_column,
        "model": store.attrs.model,
        "checkpoint": store.attrs.checkpoint,
        "maps": [row.caption for row in rows],
        "sign": store.attrs.settings.get("sign"),
    }
