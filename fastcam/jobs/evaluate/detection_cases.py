"""The rows of a detector's store: each explained box, and where its map lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fastcam.attribution.box_target import NO_BOX
from fastcam.errors import CaseError
from fastcam.jobs.evaluate.cases import localizations_of
from fastcam.jobs.evaluate.metrics.detection import BoxMeasure
from fastcam.jobs.evaluate.metrics.localization import Localization, localize, unmeasured
from fastcam.jobs.infer.box_targets import image_corners
from fastcam.options import Axes, MapChoice
from fastcam.run.cgroups import cores
from fastcam.run.failures import add_failures
from fastcam.run.progress import Progress
from fastcam.run.records import Failure
from fastcam.store.map_rows import MapRow, choose_rows
from fastcam.store.map_schema import MapHeader
from fastcam.store.maps import MapStore

# Images whose maps are in memory at a time, for each core.
_AHEAD = 16


@dataclass(frozen=True, kw_only=True)
class DetectedCase:
    """An image that a detector has seen.

    Attributes:
        header: the image.
        boxes: for each target the box that is explained; None where there is no such box.
    """

    header: MapHeader
    boxes: tuple[BoxMeasure | None, ...]


def detected_cases(
    store: MapStore, targets: Sequence[str], axes: Axes, failures: list[Failure], progress: Progress
) -> list[DetectedCase]:
    """Every finished image of ``store``, whose maps explain the boxes that ``targets`` name.

    The first map of each target is measured, against its box on the model's input, and against the
    image's mask as far as the model saw it. Masks that can't be used, and what is odd about others,
    are added to ``failures``.
    """
    done = [index for index, header in enumerate(store.headers) if header.status == "done"]
    rows = choose_rows(store, MapChoice()) if store.map_names else ()
    masked = any(store.headers[index].mask_source is not None for index in done)
    by_target: list[Mapping[int, BoxMeasure]] = []
    progress.begin("boxes", len(done) * len(targets))
    try:
        for number, target in enumerate(targets):
            row = next((row for row in rows if row.segment == target), None)
            present = [i for i in done if _label(store.headers[i], number) != NO_BOX]
            by_target.append(_measured(store, row, number, present, failures, progress))
            progress.advance(len(done) - len(present))
            if masked and row is not None:
                headers = {index: store.headers[index] for index in present}
                found = localizations_of(store, row, headers, axes, failures)
                by_target[-1] = _with_masks(by_target[-1], found)
    finally:
        progress.end()
    return [
        DetectedCase(
            header=store.headers[index],
            boxes=tuple(of_target.get(index) for of_target in by_target),
        )
        for index in done
    ]


def box_pixels(corners: Sequence[float], size: Sequence[int]) -> NDArray[np.bool_]:
    """(h, w): the pixels of an input of ``size`` whose centers lie inside of a box.

    ``corners``: x1, y1, x2, y2 in pixels of that input.
    """
    x1, y1, x2, y2 = corners
    columns, rows = (np.arange(length) + 0.5 for length in (size[-1], size[-2]))
    return np.outer((rows >= y1) & (rows < y2), (columns >= x1) & (columns < x2))


def _label(header: MapHeader, number: int) -> int:
    return int(header.boxes[number, 4]) if number < len(header.boxes) else NO_BOX


def _measured(
    store: MapStore,
    row: MapRow | None,
    number: int,
    indices: Sequence[int],
    failures: list[Failure],
    progress: Progress,
) -> dict[int, BoxMeasure]:
    """By index the ``number``-th box of each image, and where its map lies against it."""
    preprocessing = store.attrs.preprocessing
    measures = {}
    for index, found in zip(
        indices, _against_boxes(store, row, number, indices, failures), strict=True
    ):
        header = store.headers[index]
        *corners, label, score = header.boxes[number].tolist()
        measures[index] = BoxMeasure(
            label=int(label),
            score=score,
            corners=image_corners(corners, header.shape[1:], preprocessing),
            inside_box=found,
        )
        progress.advance(1)
    return measures


def _against_boxes(
    store: MapStore,
    row: MapRow | None,
    number: int,
    indices: Sequence[int],
    failures: list[Failure],
) -> Iterator[Localization]:
    size = store.attrs.preprocessing["size"]

    def measure(index: int, values: NDArray[np.float32] | None) -> Localization:
        if values is None:
            return unmeasured("its map can't be read")
        inside = box_pixels(store.headers[index].boxes[number, :4].tolist(), size)
        if not inside.any():
            return unmeasured("the box covers no pixel of the model's input")
        return localize(values, inside)

    ahead = cores() * _AHEAD
    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(indices), ahead):
            part = indices[start : start + ahead]
            # The store is read here, by one thread.
            maps = [_read(store, row, index, failures) for index in part]
            yield from pool.map(measure, part, maps)


def _read(
    store: MapStore, row: MapRow | None, index: int, failures: list[Failure]
) -> NDArray[np.float32] | None:
    if row is None:
        return None
    try:
        values = row.read(store, index)
    except CaseError as error:
        header = store.headers[index]
        add_failures(failures, [Failure("warning", header.place, header.id, None, 0, str(error))])
        return None
    return np.abs(values) if row.signed else values


def _with_masks(
    measures: Mapping[int, BoxMeasure], found: Mapping[int, Localization]
) -> dict[int, BoxMeasure]:
    return {index: replace(entry, inside_mask=found[index]) for index, entry in measures.items()}
