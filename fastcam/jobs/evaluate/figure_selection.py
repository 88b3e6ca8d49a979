"""The figures of an evaluation: the best and the worst prediction, and the chosen images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastcam.errors import CaseError
from fastcam.figures import warmup
from fastcam.jobs.evaluate.metrics.error_samples import high_threshold
from fastcam.jobs.evaluate.metrics.evaluation import EvaluatedCase, Evaluation
from fastcam.jobs.evaluate.report import EvaluationReport
from fastcam.jobs.evaluate.request import EvaluateRequest, FigureChoice
from fastcam.jobs.render import job
from fastcam.jobs.render.maps.job import MapSource
from fastcam.jobs.render.report import RenderReport
from fastcam.jobs.render.request import RenderRequest
from fastcam.options import Selection, Sources
from fastcam.run.failures import add_failures
from fastcam.run.folder import RUN
from fastcam.run.progress import Progress
from fastcam.run.records import Failure
from fastcam.store.map_rows import MapRow, method_of
from fastcam.store.maps import MapStore

EXPLAINED = "explained"


def add_figures(
    report: EvaluationReport, request: EvaluateRequest, store: MapStore, progress: Progress
) -> None:
    """Draw the best, the worst and the chosen images of ``report``, and list them there."""
    files, problems = draw_ends(request, store, report.evaluation)
    report.files += files
    add_failures(report.failures, problems)
    report.figures = draw_explained(request, store, report.evaluation, progress)


def draw_ends(
    request: EvaluateRequest, store: MapStore, evaluation: Evaluation
) -> tuple[list[Path], list[Failure]]:
    """``gradcam_best_sample.png`` and ``gradcam_worst_sample.png``, and what went wrong."""
    method, order = method_of(store.map_names[0]), evaluation.ordered
    ends = {"best": order[0].place - 1, "worst": order[-1].place - 1}
    names = {f"{method}_{end}_sample": place for end, place in ends.items()}
    return draw_maps(request, store, names)


def draw_maps(
    request: EvaluateRequest,
    store: MapStore,
    names: Mapping[str, int],
    row: MapRow | None = None,
    mask_dir: Path | None = None,
) -> tuple[list[Path], list[Failure]]:
    """Figures of single images, by the ``names`` of their files without suffix and the images'
    indices in the store; with all maps, or ``row`` alone, and the masks of the store, or those in
    ``mask_dir``. The files, and what went wrong."""
    warmup.warm_up()
    output_dir = request.output_dir
    drawing = _render_request(request, store, output_dir, Selection())
    drawing = replace(drawing, sources=replace(drawing.sources, mask_dir=mask_dir))
    source = MapSource.of(drawing, store)
    source = source if row is None else replace(source, rows=(row,))
    files, failures = [], []
    for name, index in names.items():
        path = output_dir / f"{name}.{request.options.style.format}"
        header = store.headers[index]
        try:
            warnings = source.draw_one(index, path)
        except CaseError as error:
            failures.append(Failure("error", header.place, header.id, None, 1, str(error)))
            continue
        failures += [
            Failure("warning", header.place, header.id, None, 0, text) for text in warnings
        ]
        files.append(path)
    return files, failures


def draw_explained(
    request: EvaluateRequest, store: MapStore, evaluation: Evaluation, progress: Progress
) -> RenderReport | None:
    """The figures of the chosen images, in ``explained/``, as ``fastcam render`` makes them.

    None where no image is chosen. Figures made with other settings are replaced.
    """
    options = request.options
    ids = _chosen_ids(evaluation, options.figures)
    if not ids and not options.figures.every:
        return None
    folder = request.output_dir / EXPLAINED
    selection = Selection(patients=() if options.figures.every else ids)
    render_request = _render_request(request, store, folder, selection)
    stale = _is_stale(folder, MapSource.of(render_request, store).fingerprint)
    return job.render(
        replace(render_request, overwrite=stale),
        workers=options.workers,
        progress=progress,
    )


def _render_request(
    request: EvaluateRequest, store: MapStore, output_dir: Path, selection: Selection
) -> RenderRequest:
    return RenderRequest(
        results=store.path,
        output_dir=output_dir,
        sources=Sources(
            axes=request.inference.inputs.axes, show_channel=request.options.show_channel
        ),
        # What the gallery and the viewer call the classes.
        style=replace(request.options.style, class_names=request.scoring.names),
        selection=selection,
        captions=request.scoring,
        trust_inputs=request.inference.options.trust_inputs,
    )


def _chosen_ids(evaluation: Evaluation, choice: FigureChoice) -> tuple[str, ...]:
    cases: list[EvaluatedCase] = []
    if choice.errors:
        threshold = high_threshold(evaluation.cases)
        if evaluation.kind != "regression":
            cases += [case for case in evaluation.cases if not case.good]
        elif threshold is not None:
            cases += [case for case in evaluation.cases if case.size > threshold]
    cases += evaluation.ordered[::-1][: choice.worst]
    return tuple(dict.fromkeys([*(case.id for case in cases), *choice.ids]))


def _is_stale(folder: Path, fingerprint: Mapping[str, Any]) -> bool:
    try:
        earlier = json.loads((folder / RUN).read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(earlier != json.loads(json.dumps(fingerprint, default=str)))
