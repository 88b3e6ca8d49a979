"""The figures of an evaluation: the best and the worst prediction, and those that are asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fastcam import pipeline
from fastcam.errors import CaseError, InputError
from fastcam.figures import warmup
from fastcam.jobreport import RenderReport
from fastcam.judging import Judging
from fastcam.mapjob import MapsJob
from fastcam.mapplan import method_of
from fastcam.mapstore import MapStore
from fastcam.progress import Progress
from fastcam.read.inputs import Item, stem_of
from fastcam.report.error_samples import high_threshold
from fastcam.report.evaluation import EvaluatedCase, Evaluation
from fastcam.runfolder import RUN
from fastcam.spec import MapChoice, Selection, Sources, Style
from fastcam.workitem import Trouble

EXPLAINED = "explained"


@dataclass(frozen=True)
class Explain:
    """Which images are drawn besides the best and the worst: ``every`` one, all ``errors`` (above
    mean + 2 SD, or predicted wrong), the ``worst`` so many, and those of these ``ids``."""

    every: bool = False
    errors: bool = False
    worst: int = 0
    ids: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.every or self.errors or self.worst or self.ids)


def explain_of(texts: Sequence[str], items: Sequence[Item]) -> Explain:
    """``--explain`` as it is written: all, errors, a number, ids or file names.

    InputError for a name that is no image's, or several images'.
    """
    found = Explain()
    for text in texts:
        if text == "all":
            found = replace(found, every=True)
        elif text == "errors":
            found = replace(found, errors=True)
        elif text.isdecimal():
            found = replace(found, worst=max(found.worst, int(text)))
        else:
            named = [i.id for i in items if text in (i.id, i.source.name, stem_of(i.source.name))]
            if len(named) != 1:
                known = "several images are" if named else "no image that is evaluated is"
                raise InputError(
                    f"--explain {text!r}: {known} called so; give all, errors, a number, or an id "
                    f"such as {items[0].id}"
                )
            found = replace(found, ids=(*found.ids, *named))
    return found


def draw_ends(
    store: MapStore, found: Evaluation, output_dir: Path, style: Style, judging: Judging
) -> tuple[list[Path], list[Trouble]]:
    """``gradcam_best_sample.png`` and ``gradcam_worst_sample.png``, and what went wrong."""
    warmup.warm_up()
    job = MapsJob(
        store, output_dir, Sources(), style, Selection(), MapChoice(), False, judging
    )  # fmt: skip
    method = method_of(store.map_names[0])
    written, troubles = [], []
    for which, case in (("best", found.ordered[0]), ("worst", found.ordered[-1])):
        path = output_dir / f"{method}_{which}_sample.{style.format}"
        try:
            warning = job.draw_one(case.place - 1, path)
        except CaseError as error:
            troubles.append(Trouble("error", case.place, case.id, None, 1, str(error)))
            continue
        if warning:
            troubles.append(Trouble("warning", case.place, case.id, None, 0, warning))
        written.append(path)
    return written, troubles


def draw_explained(
    store: MapStore,
    found: Evaluation,
    explain: Explain,
    output_dir: Path,
    style: Style,
    judging: Judging,
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
    job = MapsJob(store, folder, Sources(), style, selection, MapChoice(), False, judging)
    job.read(False)
    return pipeline.render(
        store.path, folder, Sources(), style, selection, workers=workers,
        overwrite=_is_stale(folder, job), progress=progress, judging=judging,
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
