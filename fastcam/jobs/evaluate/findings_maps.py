"""The maps of each finding of a test set: where they lie, and which are the best and the worst."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.jobs.evaluate.cases import localizations_of
from fastcam.jobs.evaluate.figure_selection import EXPLAINED, draw_maps
from fastcam.jobs.evaluate.metrics.evaluation import EvaluatedCase
from fastcam.jobs.evaluate.metrics.localization import (
    Localization,
    LocalizationSummary,
    compare_groups,
)
from fastcam.jobs.evaluate.request import EvaluateRequest
from fastcam.jobs.render.gallery import PAGE, write_page
from fastcam.options import MapChoice
from fastcam.read.inputs.inputs import find_inputs
from fastcam.run.csv_cells import csv_row
from fastcam.run.files import write_text
from fastcam.run.records import Failure
from fastcam.store.map_rows import MapRow, choose_rows, method_of
from fastcam.store.maps import MapStore

# What a case says of a finding, as the gallery filters by it; by whether it is present, and whether
# it was predicted.
_VERDICTS = {
    (True, True): "found",
    (True, False): "missed",
    (False, True): "false alarm",
    (False, False): "rightly absent",
}
_UNKNOWN = "unknown"
# The table of these, by which the gallery of figures is filtered.
FILTERS = "findings_by_image.csv"
_NO_NAME = re.compile(r"[^\w.-]+")

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class FindingMaps:
    """The maps of one finding in the images that have it.

    Attributes:
        row: the map of the store that explains it.
        localization: where they lie in its masks; None without such masks.
        order: indices of the images in the store, from the best map to the worst: by the share in
            the mask, or without masks by the probability of the finding.
    """

    row: MapRow
    localization: LocalizationSummary | None
    order: tuple[int, ...]


def maps_by_finding(
    request: EvaluateRequest,
    store: MapStore,
    cases: Sequence[EvaluatedCase],
    true: Floats,
    failures: list[Failure],
) -> dict[str, FindingMaps]:
    """By finding its maps, of the images that have it: ``true`` (n, k) is 1 there."""
    rows = choose_rows(store, MapChoice()) if store.map_names else ()
    result = {}
    for number, name in enumerate(request.test_set.names):
        row = next((row for row in rows if row.target in (number, None)), None)
        present = [case for case, values in zip(cases, true, strict=True) if values[number] == 1]
        if row is None or not present:
            continue
        shares = {case.place - 1: case.probability[number] for case in present}
        places = sorted(shares, key=lambda place: (-shares[place], place))
        found = _in_masks(request, store, name, row, places, failures)
        localization = None
        if found:
            good = [shares[place] >= 0.5 for place in found]
            localization = compare_groups(list(found.values()), good)
            inside = {place: own.share for place, own in found.items() if own.share is not None}
            places = sorted(inside, key=lambda place: (-inside[place], place))
        result[name] = FindingMaps(row=row, localization=localization, order=tuple(places))
    return result


def _in_masks(
    request: EvaluateRequest,
    store: MapStore,
    name: str,
    row: MapRow,
    places: Sequence[int],
    failures: list[Failure],
) -> dict[int, Localization]:
    """By image among ``places`` where its map lies in the mask of the finding ``name``."""
    folder = _mask_folder(request, name)
    if folder is None:
        return {}
    images = [item.source for item in request.test_set.items]
    items = find_inputs(images, None, None, folder, store.attrs.dims)
    masks = {item.source.resolve(): item.mask for item in items if item.mask}
    headers = {}
    for place in sorted(places):
        header = store.headers[place]
        mask = masks.get(header.source.resolve())
        if mask is not None:
            headers[place] = replace(header, mask_source=mask)
    return localizations_of(store, row, headers, request.inference.inputs.axes, failures)


def _mask_folder(request: EvaluateRequest, name: str) -> Path | None:
    """The folder with the masks of the finding ``name``, if there is one."""
    folder = request.options.finding_masks
    return folder / name if folder is not None and (folder / name).is_dir() else None


def draw_finding_ends(
    request: EvaluateRequest, store: MapStore, maps: Mapping[str, FindingMaps]
) -> tuple[list[Path], list[Failure]]:
    """``gradcam_best_Edema.png`` and ``gradcam_worst_Edema.png`` for each finding, and what went
    wrong. Each has the map of this finding alone."""
    files: list[Path] = []
    failures: list[Failure] = []
    used: set[str] = set()
    for number, (name, of_finding) in enumerate(maps.items()):
        if not of_finding.order:
            continue
        word = _NO_NAME.sub("_", name)
        word = word if word.casefold() not in used else f"{word}_{number}"
        used.add(word.casefold())
        method = method_of(of_finding.row.array)
        ends = {"best": of_finding.order[0], "worst": of_finding.order[-1]}
        paths = {f"{method}_{end}_{word}": place for end, place in ends.items()}
        masks = None if of_finding.localization is None else _mask_folder(request, name)
        drawn, problems = draw_maps(request, store, paths, of_finding.row, masks)
        files += drawn
        failures += problems
    return files, failures


def write_filters(
    request: EvaluateRequest, cases: Sequence[EvaluatedCase], true: Floats
) -> list[Path]:
    """``findings_by_image.csv``, a column a finding with what each image says of it, and the
    gallery of figures again, filtered by it; the file."""
    path = request.output_dir / FILTERS
    rows: list[list[Any]] = [["id", *request.test_set.names]]
    for case, values in zip(cases, true.tolist(), strict=True):
        pairs = zip(values, case.probability, strict=True)
        rows.append([case.id, *(_verdict(value, share) for value, share in pairs)])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(csv_row, rows))
    write_text(path, text.getvalue())
    explained = request.output_dir / EXPLAINED
    if (explained / PAGE).is_file():
        write_page(explained, table=path, id_column="id")
    return [path]


def _verdict(value: float, probability: float) -> str:
    return _UNKNOWN if np.isnan(value) else _VERDICTS[value == 1, probability >= 0.5]
