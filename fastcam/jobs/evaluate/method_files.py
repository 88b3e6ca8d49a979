"""The files of a comparison of methods: tables, a page of plots, and both as HTML."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Sequence
from pathlib import Path

from fastcam.jobs.evaluate.metrics.bootstrap import Estimate
from fastcam.jobs.evaluate.metrics.method_comparison import (
    MEASURES,
    Difference,
    MethodValues,
    means_of,
    measured_by,
)
from fastcam.jobs.evaluate.plots.methods_page import methods_page
from fastcam.options import Style
from fastcam.report.plot_files import write_plot_page
from fastcam.run.csv_cells import csv_row
from fastcam.run.files import write_text

TABLE, DIFFERENCES, PLOT, PAGE = (
    "methods.csv",
    "method_differences.csv",
    "methods.png",
    "methods.html",
)
_STYLE = (
    "body{font:15px system-ui,sans-serif;margin:2em;max-width:75em;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.3em .8em;text-align:left;"
    "border-bottom:1px solid #ddd}img{max-width:100%}small{color:#666}"
)


def write_methods(
    output_dir: Path,
    methods: Sequence[MethodValues],
    differences: Sequence[Difference],
    lines: Sequence[str],
    title: str,
    style: Style,
) -> list[str]:
    """Write all files; their names."""
    means = [means_of(method) for method in methods]
    measures = measured_by(methods)
    write_text(output_dir / TABLE, _table(methods, means, measures))
    write_text(output_dir / DIFFERENCES, _differences(differences))
    page = methods_page(methods, means, measures, title)
    plots = [path.name for path in write_plot_page(output_dir / PLOT, page, style)]
    write_text(output_dir / PAGE, _page(methods, means, measures, lines, title))
    return [TABLE, DIFFERENCES, *plots, PAGE]


def _table(
    methods: Sequence[MethodValues], means: Sequence[dict[str, Estimate]], measures: Sequence[str]
) -> str:
    columns = ["method", "baseline"]
    for measure in measures:
        columns += [measure, f"{measure}_low", f"{measure}_high", f"{measure}_images"]
    rows = [[*columns, "passes", "seconds"]]
    for method, of_method in zip(methods, means, strict=True):
        cells = [method.name, "yes" if method.baseline else "no"]
        for measure in measures:
            estimate = of_method.get(measure, Estimate(None))
            cells += [_plain(estimate.value), _plain(estimate.low), _plain(estimate.high)]
            cells.append(str(method.images_of(measure)))
        passes = "" if method.baseline else f"{method.passes:.6g}"
        seconds = "" if method.baseline else f"{method.seconds:.3g}"
        rows.append([*cells, passes, seconds])
    return _csv(rows)


def _differences(differences: Sequence[Difference]) -> str:
    rows = [["measure", "better", "worse", "images", "difference", "low", "high", "p", "p_holm"]]
    for d in differences:
        estimate = d.difference
        rows.append(
            [d.measure, d.better, d.worse, str(d.images)]
            + [_plain(v) for v in (estimate.value, estimate.low, estimate.high, d.p, d.adjusted)]
        )
    return _csv(rows)


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(csv_row, rows))
    return text.getvalue()


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _page(
    methods: Sequence[MethodValues],
    means: Sequence[dict[str, Estimate]],
    measures: Sequence[str],
    lines: Sequence[str],
    title: str,
) -> str:
    heads = ["method"]
    for measure in measures:
        name, high = MEASURES[measure]
        heads.append(f"{name} ({'high' if high else 'low'} is good)")
    rows = [[*heads, "forward passes a map"]]
    for method, of_method in zip(methods, means, strict=True):
        cells = [method.name + " (baseline)" * method.baseline]
        cells += [_words(of_method.get(measure)) for measure in measures]
        rows.append([*cells, "" if method.baseline else f"{method.passes:.4g}"])
    head, *body = (
        "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row)
        for tag, row in (("td" if number else "th", row) for number, row in enumerate(rows))
    )
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Methods compared</title>\n'
        f"<style>{_STYLE}</style>\n<h1>Methods compared</h1>\n<p>{html.escape(title)}</p>\n"
        f"<table><tr>{head}</tr>\n" + "\n".join(f"<tr>{row}</tr>" for row in body) + "</table>\n"
        "<p><small>Means with 95 % bootstrap intervals over the images. Random map: what chance "
        "gives, of the curves noise as coarse as the first method's maps.</small></p>\n"
        "<h2>What is more than noise</h2>\n<ul>"
        + "\n".join(f"<li>{html.escape(line)}</li>" for line in lines)
        + "</ul>\n<p><small>Paired bootstrap, p adjusted by Holm's rule over all pairs of a "
        f'measure, at 5 %.</small></p>\n<img src="{PLOT}" alt="means with intervals">\n'
        f'<p><a href="{TABLE}">{TABLE}</a> · <a href="{DIFFERENCES}">{DIFFERENCES}</a></p></html>\n'
    )


def _words(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "–"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
