"""TODO."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path

from fastcam.jobs.evaluate.metrics import error_samples
from fastcam.jobs.evaluate.metrics.evaluation import (
    Evaluation,
    metrics_json,
    predictions_csv,
    predictions_json,
)
from fastcam.jobs.evaluate.report import METRICS, UNMATCHED
from fastcam.read.inputs.id_match import Unmatched
from fastcam.run.files import write_bytes, write_text


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
    from fastcam.jobs.evaluate.plots import regression
    from fastcam.jobs.evaluate.plots.classification import classification_page

    if found.kind == "regression":
        pages = {
            "evaluation_results.png": regression.results_page,
            "bland_altman.png": regression.bland_altman_page,
            "age_group_comparison.png": regression.groups_page,
        }
    else:
        pages = {"evaluation_results.png": classification_page}
    for name, page in pages.items():
        write_bytes(folder / name, [page(found)])
    written = [folder / name for name in pages]
    located = [case.localisation for case in found.cases if case.localisation is not None]
    if located:
        from fastcam.jobs.evaluate.plots.localization import localisation_page

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
