"""The job of ``fastcam evaluate``: a model over a test set, and everything that follows from it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.evaluationfigures import Explain, draw_ends, draw_explained
from fastcam.evaluationset import EvaluationSet
from fastcam.evaluationtrust import measure_trust
from fastcam.inferjob import InferReport, InputChoice, Running, infer_maps, write_failures
from fastcam.jobreport import RenderReport
from fastcam.judging import Judging
from fastcam.mappicture import field_of
from fastcam.mapplan import MapRow, choose_rows
from fastcam.mapschema import MapHeader
from fastcam.mapstore import MapStore
from fastcam.progress import Progress
from fastcam.read.idmatch import Unmatched
from fastcam.read.masks import open_mask
from fastcam.report import error_samples, localisation
from fastcam.report.evaluation import (
    EvaluatedCase,
    Evaluation,
    evaluated,
    metrics_json,
    predictions_csv,
    predictions_json,
)
from fastcam.report.localisation import Localisation
from fastcam.runfolder import FAILURES
from fastcam.schedule import cores
from fastcam.spec import Axes, MapChoice, Style
from fastcam.workitem import Trouble
from fastcam.write import write_bytes, write_text

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.wanted import Wanted
    from fastcam.read.preprocess import Preprocessing

METRICS, UNMATCHED = "test_metrics.json", "unmatched.csv"


@dataclass(frozen=True)
class Reporting:
    """What is made of the results. ``classes``: how many there are, 0 for a regression."""

    group_width: float = 10.0
    classes: int = 0
    explain: Explain = field(default_factory=Explain)
    style: Style = field(default_factory=Style)
    workers: int = 1
    faithfulness: int = 0


@dataclass
class EvaluationReport:
    """What an evaluation did and found. ``figures`` is None where only the best and the worst were
    drawn."""

    output_dir: Path
    inferred: InferReport
    found: Evaluation
    unmatched: tuple[Unmatched, ...] = ()
    files: list[Path] = field(default_factory=list)
    figures: RenderReport | None = None
    notes: list[str] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)

    @property
    def metrics(self) -> dict[str, float | None]:
        """Each metric by its name, without its interval."""
        return {name: estimate.value for name, estimate in self.found.metrics.items()}

    @property
    def exit_code(self) -> int:
        """0 all done, 1 nothing could be evaluated, 3 finished but some failed."""
        if not self.found.cases:
            return 1
        failed = any(trouble.level == "error" for trouble in self.troubles)
        drawn = 0 if self.figures is None else self.figures.exit_code
        return 3 if failed or drawn else 0


def evaluate_set(
    model: nn.Module,
    described: dict[str, Any],
    spec: Preprocessing,
    chosen: EvaluationSet,
    axes: Axes,
    wanted: Wanted,
    running: Running,
    judging: Judging,
    reporting: Reporting,
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
    troubles = [*chosen.troubles, *inferred.troubles]
    cases = _cases(store, judging, troubles, axes)
    found = evaluated(
        judging.kind, chosen.target, judging.good_below, cases,
        group_width=reporting.group_width, names=judging.names, classes=reporting.classes,
        localisation=_compared(cases), facts=_facts(store, chosen, inferred),
    )  # fmt: skip
    report = EvaluationReport(output_dir, inferred, found, chosen.unmatched)
    report.notes = [*chosen.notes, *inferred.notes]
    report.troubles = troubles
    report.files = [*_write_numbers(found, output_dir), *_write_plots(found, output_dir)]
    if cases:
        ends, wrong = draw_ends(store, found, output_dir, reporting.style, judging)
        report.files += ends
        _add(troubles, wrong)
        report.figures = draw_explained(
            store, found, reporting.explain, output_dir, reporting.style, judging,
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
    write_failures(output_dir / FAILURES, troubles)
    report.files += [output_dir / FAILURES] if troubles else []
    return report


def _cases(
    store: MapStore, judging: Judging, troubles: list[Trouble], axes: Axes
) -> list[EvaluatedCase]:
    judged = [(index, judging.judge(header)) for index, header in enumerate(store.headers)]
    known = [(index, said) for index, said in judged if said is not None]
    masked = any(header.mask_source is not None for header in store.headers)
    located: dict[int, Localisation] = {}
    if masked and store.map_names:
        row = choose_rows(store, MapChoice())[0]
        located = _localised(store, row, [index for index, _ in known], axes, troubles)
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


def _localised(
    store: MapStore, row: MapRow, indices: Sequence[int], axes: Axes, troubles: list[Trouble]
) -> dict[int, Localisation]:
    """Where the maps lie against their masks, both cut to what the model saw. A mask that can't be
    used is a warning.

    Maps are read here, one batch after the other; decoding a mask of 512x512 (1.1 ms) and measuring
    (1.6 ms) let go of the GIL, and all cores do them.
    """

    volumes = store.attrs.dims == 3

    def measure(index: int, values: NDArray[np.float32] | CaseError) -> Localisation | CaseError:
        header = store.headers[index]
        if header.mask_source is None:
            return localisation.unmeasured("no mask")
        if isinstance(values, CaseError):
            return values
        try:
            inside = open_mask(header.mask_source, header.shape, axes).inside
        except CaseError as error:
            return error
        if volumes:
            return localisation.localise(values, np.broadcast_to(inside, header.shape))
        rows, columns = field_of(*header.shape[1:], store.attrs.preprocessing)
        return localisation.localise(values, inside[0, rows, columns])

    found: dict[int, Localisation] = {}
    # An enlarged map of a volume is 100 MB and more: one at a time.
    with ThreadPoolExecutor(1 if volumes else cores()) as pool:
        read = [_read(store, row, index) for index in indices]
        for index, made in zip(indices, pool.map(measure, indices, read), strict=True):
            if isinstance(made, CaseError):
                header = store.headers[index]
                _add(troubles, [Trouble("warning", header.place, header.id, None, 0, str(made))])
                made = localisation.unmeasured("its mask or map can't be used")
            found[index] = made
    return found


def _read(store: MapStore, row: MapRow, index: int) -> NDArray[np.float32] | CaseError:
    if store.headers[index].mask_source is None:
        return np.zeros((0, 0), np.float32)
    try:
        values = row.read(store, index)
    except CaseError as error:
        return error
    return np.abs(values) if row.signed else values


def _compared(cases: Sequence[EvaluatedCase]) -> localisation.LocalisationSummary | None:
    located = [case.localisation for case in cases if case.localisation is not None]
    if not located:
        return None
    return localisation.compare_groups(located, [case.good for case in cases])


def _facts(store: MapStore, chosen: EvaluationSet, inferred: InferReport) -> dict[str, Any]:
    rows = choose_rows(store, MapChoice()) if store.map_names else ()
    return {
        "failed": len(chosen.troubles) + inferred.failed,
        "images_without_row": chosen.alone("image"),
        "rows_without_image": chosen.alone("row"),
        "duplicate_rows": chosen.alone("duplicate"),
        "id_column": chosen.id_column,
        "model": store.attrs.model,
        "checkpoint": store.attrs.checkpoint,
        "maps": [row.caption for row in rows],
        "sign": store.attrs.settings.get("sign"),
    }


def _write_numbers(found: Evaluation, folder: Path) -> list[Path]:
    texts = {
        METRICS: metrics_json(found),
        "predictions.json": predictions_json(found),
        "predictions.csv": predictions_csv(found),
    }
    for name, samples in (
        ("high_error_samples", error_samples.high_errors(found)),
        ("low_error_samples", error_samples.low_errors(found)),
    ):
        texts[f"{name}.txt"] = error_samples.samples_text(samples, found)
        texts[f"{name}.csv"] = predictions_csv(found, samples.cases)
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def _write_plots(found: Evaluation, folder: Path) -> list[Path]:
    # Imported here: matplotlib is none of a light command's business.
    from fastcam.report import evaluation_plots
    from fastcam.report.classification_plots import classification_page

    if found.kind == "regression":
        pages = {
            "evaluation_results.png": evaluation_plots.results_page,
            "bland_altman.png": evaluation_plots.bland_altman_page,
            "age_group_comparison.png": evaluation_plots.groups_page,
        }
    else:
        pages = {"evaluation_results.png": classification_page}
    for name, page in pages.items():
        write_bytes(folder / name, [page(found)])
    written = [folder / name for name in pages]
    located = [case.localisation for case in found.cases if case.localisation is not None]
    if located:
        from fastcam.report.localisation_plots import localisation_page

        names = ("right", "wrong")
        if found.kind == "regression":
            names = (f"error < {found.good_below:g}", f"error ≥ {found.good_below:g}")
        good = [case.good for case in found.cases]
        write_bytes(folder / "localisation.png", [localisation_page(located, good, names)])
        written.append(folder / "localisation.png")
    return written


def _write_unmatched(unmatched: Sequence[Unmatched], folder: Path) -> list[Path]:
    path = folder / UNMATCHED
    if not unmatched:
        path.unlink(missing_ok=True)
        return []
    text = io.StringIO()
    columns = [entry.name for entry in fields(Unmatched)]
    csv.writer(text, lineterminator="\n").writerows([columns, *map(astuple, unmatched)])
    write_text(path, text.getvalue())
    return [path]


def _add(troubles: list[Trouble], more: Sequence[Trouble]) -> None:
    """Each thing once, however often it shows."""
    said = {replace(trouble, figures=0) for trouble in troubles}
    troubles += [trouble for trouble in more if replace(trouble, figures=0) not in said]
