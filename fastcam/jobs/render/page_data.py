"""What a page of figures shows as JSON for its scripts, in as few letters as it can be said."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from fastcam_kernels import colormap

from fastcam.jobs.render.gallery_content import Gallery, GalleryCase, GalleryFigure
from fastcam.options import COLORMAPS
from fastcam.read.inputs.case_columns import CaseColumn


def page_data(gallery: Gallery) -> dict[str, Any]:
    """All that the page's scripts need, as plain values."""
    data: dict[str, Any] = {
        "maps": gallery.maps,
        "flat": gallery.flat,
        "pictures": gallery.pictures,
        "run": gallery.run,
        **_cases(gallery),
        "columns": [_column(column) for column in gallery.columns],
    }
    if gallery.other is not None:
        data["other"] = {
            "run": gallery.other.run,
            "folder": gallery.other_folder,
            **_cases(gallery.other),
        }
    return data


def _cases(gallery: Gallery) -> dict[str, Any]:
    """The cases, where panels lie, the commonest way first, so that it needn't be said, and what
    of colors makes heat."""
    counts = Counter(figure.panels for case in gallery.cases for figure in case.figures)
    places = [panels for panels, _ in counts.most_common()]
    layouts = {panels: number for number, panels in enumerate(places)} if any(places) else {}
    return {
        "cases": [_packed(case, layouts) for case in gallery.cases],
        "layouts": list(layouts),
        "heat": _level_of_color(str(gallery.settings.get("colormap", ""))),
    }


def _column(column: CaseColumn) -> dict[str, Any]:
    values = column.values
    if column.kind == "number":
        values = [None if value is None else _number(value) for value in values]
    return {"name": column.name, "kind": column.kind, "values": values}


def _level_of_color(name: str) -> list[float]:
    """Weights of R, G and B, 0 to 1, and a constant, whose sum is nearest to the level, 0 to 1, of
    a color of the table, and 0 at its lowest: with it a browser blends by heat. Empty where there
    is no such table."""
    if name not in COLORMAPS:
        return []
    colors = colormap.table(name).astype(np.float64) / 255
    levels = np.linspace(0, 1, len(colors))
    weights, *_ = np.linalg.lstsq(colors - colors[0], levels, rcond=None)
    return [round(float(weight), 4) for weight in (*weights, -colors[0] @ weights)]


def _packed(case: GalleryCase, layouts: Mapping[str, int]) -> list[Any]:
    """A case as page.js unpacks it; its figures' common folder is said once."""
    folder = case.cover.path.rpartition("/")[0]
    folder += "/" * bool(folder)
    paths = [*(figure.path for figure in case.figures), *filter(None, [case.summary])]
    same = all(path.startswith(folder) for path in paths)
    start = folder if same else ""
    figures = [_packed_figure(figure, len(start), layouts) for figure in case.figures]
    return [
        case.place,
        case.name,
        case.true_label,
        case.predicted_label,
        None if case.correct is None else int(case.correct),
        _number(case.confidence),
        _number(case.highest),
        case.figures.index(case.cover),
        int(case.cover.best),
        (case.summary or "")[len(start) :],
        start,
        figures,
        _number(case.error),
    ]


def _packed_figure(figure: GalleryFigure, start: int, layouts: Mapping[str, int]) -> list[Any]:
    """Slice, average and file of a figure, and the number of its layout unless it is 0."""
    packed = [figure.slice, _number(figure.average), figure.path[start:]]
    layout = layouts[figure.panels] if layouts else 0
    return [*packed, layout] if layout else packed


def _number(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None


def json_text(data: object) -> str:
    """JSON without letters that could be taken as markup."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text
