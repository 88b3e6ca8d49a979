"""What is known of the cases of a page beside what its cards say, to filter and sort by."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from fastcam.jobs.render.gallery_content import GalleryCase
from fastcam.read.inputs.case_columns import CaseColumn, cell_column, table_columns
from fastcam.read.regular_files import check_regular

STATISTICS = "statistics.csv"
# What cards say already, and what names a case.
_SAID = ("place", "case", "true_label", "predicted_label", "correct", "confidence")


def gallery_columns(
    folder: Path,
    cases: Sequence[GalleryCase],
    table: Path | None = None,
    id_column: str | None = None,
) -> tuple[CaseColumn, ...]:
    """Columns of ``cases``: of the figure that stands for each, of the run's statistics if it has
    some, and of ``table``. InputError where that can't be read or fits no case."""
    columns = [*_of_covers(cases), *_of_statistics(folder / STATISTICS, cases)]
    if table is not None:
        columns += table_columns([case.name for case in cases], table, id_column)
    return tuple(columns)


def _of_covers(cases: Sequence[GalleryCase]) -> list[CaseColumn]:
    covers = [case.cover for case in cases]
    numbers: dict[str, list[float]] = {
        "figures": [len(case.figures) for case in cases],
        "slice": [cover.slice for cover in covers],
        "average": [cover.average for cover in covers],
        "scale from": [cover.low for cover in covers],
        "scale to": [cover.high for cover in covers],
    }
    return [
        CaseColumn(name=name, kind="number", values=values)
        for name, values in numbers.items()
        if len(set(values)) > 1  # others divide nothing
    ]


def _of_statistics(path: Path, cases: Sequence[GalleryCase]) -> list[CaseColumn]:
    """The numbers of ``statistics.csv``; of one that can't be read none, as it is a result."""
    check_regular(path)
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = {row.get("place"): row for row in csv.DictReader(file)}
    except (OSError, csv.Error):
        return []
    own = [rows.get(str(case.place), {}) for case in cases]
    names = [name for name in (next(iter(rows.values())) if rows else {}) if name not in _SAID]
    columns = [cell_column(name, [row.get(name) or "" for row in own]) for name in names if name]
    return [column for column in columns if column.kind == "number"]
