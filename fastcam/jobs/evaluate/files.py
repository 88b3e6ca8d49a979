"""The files of an evaluation: numbers, lists, pages of plots, and what had no partner."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING

from fastcam.jobs.evaluate.metrics.error_samples import high_errors, low_errors, samples_text
from fastcam.jobs.evaluate.metrics.evaluation import (
    Evaluation,
    metrics_json,
    predictions_csv,
    predictions_json,
)
from fastcam.jobs.evaluate.plots.classification_page import classification_page
from fastcam.jobs.evaluate.plots.localization_page import localization_page
from fastcam.jobs.evaluate.plots.regression_pages import (
    bland_altman_page,
    groups_page,
    results_page,
)
from fastcam.jobs.evaluate.report import METRICS, UNMATCHED
from fastcam.options import Style
from fastcam.read.inputs.id_match import Unmatched
from fastcam.report.plot_files import write_plot_page
from fastcam.run.csv_cells import csv_row
from fastcam.run.files import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Page

_RESULTS, _LOCALIZATION = "evaluation_results.png", "localization.png"


def write_numbers(evaluation: Evaluation, output_dir: Path) -> list[Path]:
    """Write metrics, predictions and the lists of the worst and the best; the files."""
    texts = {
        METRICS: metrics_json(evaluation),
        "predictions.json": predictions_json(evaluation),
        "predictions.csv": predictions_csv(evaluation),
    }
    for name, samples in (
        ("high_error_samples", high_errors(evaluation)),
        ("low_error_samples", low_errors(evaluation)),
    ):
        texts[f"{name}.txt"] = samples_text(samples, evaluation)
        texts[f"{name}.csv"] = predictions_csv(evaluation, samples.cases)
    for name, text in texts.items():
        write_text(output_dir / name, text)
    return [output_dir / name for name in texts]


def write_results(
    output_dir: Path, texts: Mapping[str, str], page: Page, style: Style
) -> list[Path]:
    """Write ``texts``, by the names of their files, and the ``page`` of plots; the files."""
    for name, text in texts.items():
        write_text(output_dir / name, text)
    paths = [output_dir / name for name in texts]
    return [*paths, *write_plot_page(output_dir / _RESULTS, page, style)]


def write_plots(evaluation: Evaluation, output_dir: Path, style: Style) -> list[Path]:
    """Write the pages of plots; the files."""
    regression = evaluation.kind == "regression"
    if regression:
        pages = {
            _RESULTS: results_page(evaluation),
            "bland_altman.png": bland_altman_page(evaluation),
            "age_group_comparison.png": groups_page(evaluation),
        }
    else:
        pages = {_RESULTS: classification_page(evaluation)}
    if evaluation.localizations:
        names = ("right", "wrong")
        if regression:
            limit = evaluation.with_unit(f"{evaluation.good_below:g}")
            names = (f"error < {limit}", f"error ≥ {limit}")
        good = [case.good for case in evaluation.cases]
        pages[_LOCALIZATION] = localization_page(
            evaluation.localizations, good, names, evaluation.remark
        )
    written = (write_plot_page(output_dir / name, page, style) for name, page in pages.items())
    return [*itertools.chain(*written)]


def write_unmatched(unmatched: Sequence[Unmatched], output_dir: Path) -> list[Path]:
    """Write images without a row and rows without an image; no file where there are none."""
    path = output_dir / UNMATCHED
    if not unmatched:
        path.unlink(missing_ok=True)
        return []
    text = io.StringIO()
    columns = [entry.name for entry in fields(Unmatched)]
    csv.writer(text, lineterminator="\n").writerows(
        [columns, *(csv_row(astuple(entry)) for entry in unmatched)]
    )
    write_text(path, text.getvalue())
    return [path]
