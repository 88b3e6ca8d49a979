"""The figures of an evaluation: the best and the worst prediction, and those that are asked for."""

from __future__ import annotations

import json
from pathlib import Path

from fastcam.errors import CaseError
from fastcam.figures import warmup
from fastcam.jobs.evaluate.metrics.error_samples import high_threshold
from fastcam.jobs.evaluate.metrics.evaluation import EvaluatedCase, Evaluation
from fastcam.jobs.evaluate.request import Explain
from fastcam.jobs.evaluate.scoring import Scoring
from fastcam.jobs.render import job as pipeline
from fastcam.jobs.render.maps.job import MapsJob
from fastcam.jobs.render.report import RenderReport
from fastcam.options import MapChoice, Selection, Sources, Style
from fastcam.run.folder import RUN
from fastcam.run.progress import Progress
from fastcam.run.records import Failure
from fastcam.store.map_rows import method_of
from fastcam.store.maps import MapStore

EXPLAINED = "explained"


def draw_ends(
    store: MapStore, found: Evaluation, output_dir: Path, style: Style, scoring: Scoring
) -> tuple[list[Path], list[Failure]]:
    """``gradcam_best_sample.png`` and ``gradcam_worst_sample.png``, and what went wrong."""
    warmup.warm_up()
    job = MapsJob(
        store, output_dir, Sources(), style, Selection(), MapChoice(), False, scoring
    )  # fmt: skip
    method = method_of(store.map_names[0])
    written, failures = [], []
    for which, case in (("best", found.ordered[0]), ("worst", found.ordered[-1])):
        path = output_dir / f"{method}_{which}_sample.{style.format}"
        try:
            warning = job.draw_one(case.place - 1, path)
        except CaseError as error:
            failures.append(Failure("error", case.place, case.id, None, 1, str(error)))
            continue
        if warning:
            failures.append(Failure("warning", case.place, case.id, None, 0, warning))
        written.append(path)
    return written, failures


def draw_explained(
    store: MapStore,
    found: Evaluation,
    explain: Explain,
    output_dir: Path,
    style: Style,
    scoring: Scoring,
    workers: int,
    progress: Progress,
) -> RenderReport | None:
    """The figures that were asked for, in ``explained/``, by the road of ``fastcam render``; None
    where nobody is chosen. Figures made with other settings are replaced."""
    ids = _chosen(found, explain)
    if not ids and not explain.every:
        return None
    folder = output_dir / EXPLAINED
    selection = Selection(patients=() if explain.every else ids)
    job = MapsJob(store, folder, Sources(), style, selection, MapChoice(), False, scoring)
    job.read(False)
    return pipeline.render(
        store.path, folder, Sources(), style, selection, workers=workers,
        overwrite=_is_stale(folder, job), progress=progress, captions=scoring,
    )  # fmt: skip


def _chosen(found: Evaluation, explain: Explain) -> tuple[str, ...]:
    cases: list[EvaluatedCase] = []
    worst_first = found.ordered[::-1]
    if explain.errors:
        threshold = high_threshold(found.cases)
        if found.kind == "classification":
            cases += [case for case in found.cases if not case.good]
        elif threshold is not None:
            cases += [case for case in found.cases if case.size > threshold]
    cases += worst_first[: explain.worst]
    return tuple(dict.fromkeys([*(case.id for case in cases), *explain.ids]))


def _is_stale(folder: Path, job: MapsJob) -> bool:
    try:
        earlier = json.loads((folder / RUN).read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(earlier != json.loads(json.dumps(job.looks(), default=str)))
