"""Statistics to disk: JSON and CSV for programs, one page of plots for people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from fastcam.jobs.render.patches.statistics_plots import statistics_page
from fastcam.options import Style
from fastcam.report.plot_files import write_plot_page
from fastcam.report.statistics import METRICS, CaseStatistics, CohortStatistics, summarize
from fastcam.run.csv_cells import csv_record
from fastcam.run.files import write_text


def write_statistics(
    folder: Path, rows: Sequence[CaseStatistics], style: Style | None = None
) -> list[Path]:
    """Write ``statistics.json``, ``.csv`` and ``.png`` into ``folder``; returns their paths.

    JSON: ``metrics`` (what each means), ``cohort`` and ``cases``; a value that is unknown is null
    there and empty in the CSV. Raises ``OutputError``.
    """
    cohort = summarize(rows)
    paths = [folder / f"statistics.{suffix}" for suffix in ("json", "csv")]
    write_text(paths[0], _as_json(cohort, rows))
    write_text(paths[1], _as_csv(rows))
    page = statistics_page(cohort, rows)
    return [*paths, *write_plot_page(folder / "statistics.png", page, style or Style())]


def _as_json(cohort: CohortStatistics, rows: Sequence[CaseStatistics]) -> str:
    content = {"metrics": METRICS, "cohort": asdict(cohort), "cases": [asdict(row) for row in rows]}
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _as_csv(rows: Sequence[CaseStatistics]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(CaseStatistics)])
    writer.writeheader()
    writer.writerows(csv_record(asdict(row)) for row in rows)
    return text.getvalue()
