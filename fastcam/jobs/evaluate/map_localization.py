"""TODO."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.jobs.evaluate.metrics import localization
from fastcam.jobs.evaluate.metrics.localization import Localisation
from fastcam.options import Axes
from fastcam.read.inputs.preprocess import field_of
from fastcam.read.volumes.masks import open_mask
from fastcam.run.records import Failure, _add
from fastcam.run.scheduler import cores
from fastcam.store.map_rows import MapRow
from fastcam.store.maps import MapStore


def _localised(
    store: MapStore, row: MapRow, indices: Sequence[int], axes: Axes, failures: list[Failure]
) -> dict[int, Localisation]:
    """Where the maps lie against their masks, both cut to what the model saw. A mask that can't be
    used is a warning.

    Maps are read here, one batch after the other; decoding a mask of 512x512 (1.1 ms) and measuring
    (1.6 ms) let go of the GIL, and all cores do them.
    """

    volumes = store.attrs.dims == 3

    def measure(index: int, values: NDArray[np.float32] | CaseError) -> Localisation | CaseError:
        header = store.headers[index]
        if header.mask_source is None:
            return localization.unmeasured("no mask")
        if isinstance(values, CaseError):
            return values
        try:
            inside = open_mask(header.mask_source, header.shape, axes).inside
        except CaseError as error:
            return error
        if volumes:
            return localization.localise(values, np.broadcast_to(inside, header.shape))
        rows, columns = field_of(*header.shape[1:], store.attrs.preprocessing)
        return localization.localise(values, inside[0, rows, columns])

    found: dict[int, Localisation] = {}
    # An enlarged map of a volume is 100 MB and more: one at a time.
    with ThreadPoolExecutor(1 if volumes else cores()) as pool:
        read = [_read(store, row, index) for index in indices]
        for index, made in zip(indices, pool.map(measure, indices, read), strict=True):
            if isinstance(made, CaseError):
                header = store.headers[index]
                _add(failures, [Failure("warning", header.place, header.id, None, 0, str(made))])
                made = localization.unmeasured("its mask or map can't be used")
            found[index] = made
    return found


def _read(store: MapStore, row: MapRow, index: int) -> NDArray[np.float32] | CaseError:
    if store.headers[index].mask_source is None:
        return np.zeros((0, 0), np.float32)
    try:
        values = row.read(store, index)
    except CaseError as error:
        return error
    return np.abs(values) if row.signed else values
