"""What a page of figures shows as JSON for its scripts, in as few letters as it can be said."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, TypeVar

from fastcam.errors import InputError
from fastcam.jobs.render.gallery_content import Gallery, GalleryCase
from fastcam.jobs.render.page_columns import packed, rounded
from fastcam.jobs.render.page_heat import heat_filters
from fastcam.jobs.render.page_paths import Pattern, case_fields, coded, figure_fields
from fastcam.options import Style
from fastcam.read.inputs.case_columns import CaseColumn

_Value = TypeVar("_Value", bound=Hashable)
_CASE_VALUES: dict[str, Callable[[GalleryCase], Any]] = {
    "place": lambda case: case.place,
    "name": lambda case: case.name,
    "label": lambda case: case.true_label,
    "prediction": lambda case: case.predicted_label,
    "right": lambda case: None if case.correct is None else int(case.correct),
    "confidence": lambda case: rounded(case.confidence),
    "highest": lambda case: rounded(case.highest),
    "shown": lambda case: case.figures.index(case.cover),
    "best": lambda case: int(case.cover.best),
    "error": lambda case: rounded(case.error),
}
# Columns that the page takes from cases, most of them from the figures that stand for them.
_KNOWN_COLUMNS: dict[str, Callable[[GalleryCase], float | None]] = {
    "figures": lambda case: len(case.figures),
    "slice": lambda case: case.cover.slice,
    "average": lambda case: rounded(case.cover.average),
    "scale to": lambda case: rounded(case.highest),
}


def page_data(gallery: Gallery) -> dict[str, Any]:
    """All that the page's scripts need, as plain values."""
    data: dict[str, Any] = {
        "maps": gallery.maps,
        "flat": gallery.flat,
        "pictures": gallery.pictures,
        "run": gallery.run,
        "mixed": _mixed(gallery.settings, gallery.maps),
        **_cases(gallery),
        "columns": [_column(column, gallery.cases) for column in gallery.columns],
    }
    if gallery.other is not None:
        data["other"] = {
            "run": gallery.other.run,
            "folder": gallery.other_folder,
            **_cases(gallery.other),
        }
    return data


def _mixed(settings: Mapping[str, Any], maps: bool) -> dict[str, Any]:
    """How the figures' own overlays are mixed, as the page begins to mix; settings come from a
    file, and those that no figure can have count as the usual ones."""
    given = {name: settings[name] for name in ("heat_alpha", "blend", "style") if name in settings}
    try:
        style = Style(**given)
    except (InputError, TypeError):
        style = Style()
    blend = style.map_blend if maps else style.patch_blend
    return {"alpha": style.heat_alpha, "byHeat": blend == "heat"}


def _cases(gallery: Gallery) -> dict[str, Any]:
    """The cases and their figures as columns, the patterns of paths and where panels lie, both
    the commonest first, and how a browser finds the heat of colors."""
    cases = gallery.cases
    figures = [figure for case in cases for figure in case.figures]
    layouts = _numbered(figure.panels for figure in figures)
    paths = list(map(_paths, cases))
    patterns = _numbered(path for path in chain(*paths) if isinstance(path, Pattern))

    def path_column(of_cases: Iterable[Sequence[Pattern | str]]) -> Any:
        return packed(
            [
                patterns[path] if isinstance(path, Pattern) else path
                for path in chain.from_iterable(of_cases)
            ]
        )

    return {
        "cases": {
            "count": len(cases),
            "columns": {
                **{name: packed(list(map(value, cases))) for name, value in _CASE_VALUES.items()},
                "folder": path_column(of_case[:1] for of_case in paths),
                "summary": path_column(of_case[1:2] for of_case in paths),
            },
            "figures": {
                "count": packed([len(case.figures) for case in cases]),
                "slices": _slices(cases),
                "average": packed([rounded(figure.average) for figure in figures]),
                "path": path_column(of_case[2:] for of_case in paths),
                "layout": packed([layouts[figure.panels] for figure in figures]),
            },
        },
        "patterns": [pattern.text for pattern in patterns],
        "layouts": list(layouts) if any(layouts) else [],
        "heat": heat_filters(
            str(gallery.settings.get("colormap", "")),
            patches=not gallery.maps and gallery.settings.get("style") != "classic",
        ),
    }


def _numbered(values: Iterable[_Value]) -> dict[_Value, int]:
    """A number for each value, the lowest for the commonest."""
    return {value: number for number, (value, _) in enumerate(Counter(values).most_common())}


def _paths(case: GalleryCase) -> list[Pattern | str]:
    """The folder of a case's figures and of its summary, its summary, and its figures."""
    cover = case.cover
    folder = cover.path.rpartition("/")[0]
    folder += "/" * bool(folder)
    paths = [*filter(None, [case.summary]), *(figure.path for figure in case.figures)]
    if not all(path.startswith(folder) for path in paths):
        folder = ""
    start, fields = len(folder), case_fields(case.place, case.name)
    coded_paths = [coded(folder, fields), coded((case.summary or "")[start:], fields)]
    for figure in case.figures:
        of_figure = figure_fields(
            figure.slice, rounded(figure.average), cover.best and figure is cover
        )
        coded_paths.append(coded(figure.path[start:], {**fields, **of_figure}))
    return coded_paths


def _slices(cases: Sequence[GalleryCase]) -> Any:
    """The slices of each case's figures; of those one after the other only the first."""
    slices: list[int | list[int]] = []
    for case in cases:
        own = [figure.slice for figure in case.figures]
        slices.append(own[0] if own == list(range(own[0], own[0] + len(own))) else own)
    return packed(slices) if all(isinstance(own, int) for own in slices) else slices


def _column(column: CaseColumn, cases: Sequence[GalleryCase]) -> dict[str, Any]:
    values = list(column.values)
    if column.kind == "number":
        values = list(map(rounded, values))
    known = _KNOWN_COLUMNS.get(column.name)
    if known is not None and values == list(map(known, cases)):
        return {"name": column.name, "kind": column.kind, "values": {"of": column.name}}
    return {"name": column.name, "kind": column.kind, "values": packed(values)}


def json_text(data: object) -> str:
    """JSON without letters that could be taken as markup."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text
