"""The rows of a run's store as evaluated cases: scored, and their maps measured against masks."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.jobs.evaluate.metrics.evaluation import EvaluatedCase
from fastcam.jobs.evaluate.metrics.localization import Localization, localize, unmeasured
from fastcam.jobs.evaluate.scoring import Score, Scoring
from fastcam.options import Axes, MapChoice
from fastcam.read.inputs.preprocessing import input_slices
from fastcam.read.inputs.slice_images import slice_grid
from fastcam.read.volumes.channels import channels_grid
from fastcam.read.volumes.geometry import Grid
from fastcam.read.volumes.masks import mask_along, open_mask
from fastcam.read.volumes.volumes import volume_grid
from fastcam.run.cgroups import cores
from fastcam.run.failures import add_failures
from fastcam.run.records import Failure
from fastcam.store.map_rows import MapRow, choose_rows
from fastcam.store.map_schema import MapHeader
from fastcam.store.maps import MapStore


def evaluated_cases(
    store: MapStore, scoring: Scoring, axes: Axes, failures: list[Failure]
) -> list[EvaluatedCase]:
    """The store's images that have a prediction and a true value, in its order.

    Masks that can't be used, and what is odd about others, are added to ``failures``.
    """
    all_scores = [(index, scoring.score(header)) for index, header in enumerate(store.headers)]
    scores = {index: score for index, score in all_scores if score is not None}
    masked = any(header.mask_source is not None for header in store.headers)
    localizations: dict[int, Localization] = {}
    if masked and store.map_names:
        rows = [row for row in choose_rows(store, MapChoice()) if row.over_source]
        if rows:
            headers = {index: store.headers[index] for index in scores}
            localizations = localizations_of(store, rows[0], headers, axes, failures)
    return [
        evaluated_case(store.headers[index], score, localizations.get(index))
        for index, score in scores.items()
    ]


def evaluated_case(
    header: MapHeader, score: Score, localization: Localization | None = None
) -> EvaluatedCase:
    """What an evaluation says of one image."""
    return EvaluatedCase(
        place=header.place,
        id=header.id,
        file="/".join(filter(None, [header.group, header.source.name])),
        true=score.true,
        predicted=score.predicted,
        error=score.error,
        good=score.good,
        probability=tuple(score.probability.astype(float).tolist()),
        ranking=score.ranking,
        localization=localization,
    )


def localizations_of(
    store: MapStore,
    row: MapRow,
    headers: Mapping[int, MapHeader],
    axes: Axes,
    failures: list[Failure],
) -> dict[int, Localization]:
    """Where the maps lie against their masks, both cut to what the model saw, by index.

    ``headers``: by index the images to measure, whose masks needn't be those of the store.
    Maps are read here, one batch after the other; decoding a mask of 512x512 (1.1 ms) and measuring
    (1.6 ms) let go of the GIL, and all cores do them. A mask that can't be used is a warning.
    """
    volumes = store.attrs.dims == 3

    def measure(
        index: int, values: NDArray[np.float32] | CaseError
    ) -> tuple[Localization, tuple[str, ...]]:
        header = headers[index]
        if header.mask_source is None:
            return unmeasured("no mask"), ()
        try:
            if isinstance(values, CaseError):
                raise values
            grid = grid_of(store, header, axes)
            mask = open_mask(header.mask_source, grid, axes)
        except CaseError as error:
            return unmeasured("its mask or map can't be used"), (str(error),)
        if header.slices is not None:
            # The slices that the model saw, each cut to what it saw of them.
            along = mask_along(mask, grid.shape, store.axis(index))
            inside = np.broadcast_to(along.inside, header.shape)[header.slices.index]
            rows, columns = input_slices(*header.shape[1:], store.attrs.preprocessing)
            return localize(values, inside[:, rows, columns]), mask.warnings
        if volumes:
            return localize(values, np.broadcast_to(mask.inside, header.shape)), mask.warnings
        rows, columns = input_slices(*header.shape[1:], store.attrs.preprocessing)
        return localize(values, mask.inside[0, rows, columns]), mask.warnings

    localizations: dict[int, Localization] = {}
    # An enlarged map of a volume is 100 MB and more: one at a time.
    with ThreadPoolExecutor(1 if volumes else cores()) as pool:
        indices = list(headers)
        maps = [_map_values(store, row, index, headers[index]) for index in indices]
        for index, result in zip(indices, pool.map(measure, indices, maps), strict=True):
            localizations[index], warnings = result
            header = headers[index]
            add_failures(
                failures,
                [Failure("warning", header.place, header.id, None, 0, text) for text in warnings],
            )
    return localizations


def grid_of(store: MapStore, header: MapHeader, axes: Axes) -> Grid:
    """Where the voxels or pixels of an image or volume lie."""
    if store.attrs.dims == 2:
        return slice_grid(header.source, header.shape)
    volume = store.attrs.settings.get("volume")
    if volume is None and store.attrs.preprocessing.get("channels", 1) > 1:
        return channels_grid(header.source, axes)
    return volume_grid(header.source, axes, volume)


def _map_values(
    store: MapStore, row: MapRow, index: int, header: MapHeader
) -> NDArray[np.float32] | CaseError:
    if header.mask_source is None:
        return np.zeros((0, 0), np.float32)
    try:
        values = row.read(store, index)
    except CaseError as error:
        return error
    return np.abs(values) if row.signed else values
