"""The rows of a segmentation's store, measured against their masks class by class."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.attribution.segment_target import SegmentTarget
from fastcam.errors import CaseError
from fastcam.jobs.evaluate.cases import grid_of
from fastcam.jobs.evaluate.metrics.localization import Localization, localize, unmeasured
from fastcam.jobs.evaluate.metrics.segmentation import Overlap, overlap_of
from fastcam.options import MapChoice
from fastcam.read.axis_order import Axes
from fastcam.read.inputs.preprocessing import input_slices
from fastcam.read.volumes.masks import open_label_map
from fastcam.read.volumes.slice_axis import slices_first
from fastcam.run.cgroups import cores
from fastcam.run.failures import add_failures
from fastcam.run.progress import Progress
from fastcam.run.records import Failure
from fastcam.store.map_rows import MapRow, choose_rows
from fastcam.store.map_schema import MapHeader
from fastcam.store.maps import MapStore

# An image's index, the class predicted of each of its pixels, and by class its map.
_Stored = tuple[int, NDArray[np.int32] | None, dict[int, NDArray[np.float32]]]
# Images whose maps are in memory at a time, for each core.
_AHEAD = 4


@dataclass(frozen=True, kw_only=True)
class SegmentedCase:
    """An image of a segmentation against its mask.

    Attributes:
        header: the image.
        overlaps: of each measured class its true pixels against its predicted ones.
        localizations: by class that is explained, where its map lies in the true pixels.
    """

    header: MapHeader
    overlaps: tuple[Overlap, ...]
    localizations: dict[int, Localization]


# What is measured of an image, and warnings; a text: why it can't be.
_Result = tuple[SegmentedCase, tuple[str, ...]] | str


@dataclass(frozen=True)
class SegmentationMeasure:
    """What is measured of every image of a store.

    Attributes:
        store: the store of the run.
        axes: order of a volume's axes.
        classes: how many the model knows.
        labels: those that are measured.
    """

    store: MapStore
    axes: Axes
    classes: int
    labels: tuple[int, ...]

    @cached_property
    def unit(self) -> str:
        """Of distances: mm where every image says where its pixels lie."""
        placed = all(h.affine is not None for h in self.store.headers if h.status == "done")
        return "mm" if placed else "pixels"

    @cached_property
    def rows(self) -> dict[int, MapRow]:
        """By class the first map of the store that explains it."""
        rows: dict[int, MapRow] = {}
        for row in choose_rows(self.store, MapChoice()) if self.store.map_names else ():
            if row.segment:
                rows.setdefault(SegmentTarget.parse(row.segment).label, row)
        return rows

    def cases(self, failures: list[Failure], progress: Progress) -> list[SegmentedCase]:
        """Every image that has a prediction and a mask.

        Prediction and mask are compared on the image's own pixels, as far as the model saw them;
        masks that can't be used, and what is odd about others, are added to ``failures``.
        """
        done = [i for i, header in enumerate(self.store.headers) if header.status == "done"]
        cases = []
        for index, result in zip(done, self._all_results(done, progress), strict=True):
            header = self.store.headers[index]
            if isinstance(result, str):
                problems = [Failure("error", header.place, header.id, None, 1, result)]
            else:
                case, remarks = result
                cases.append(case)
                problems = [
                    Failure("warning", header.place, header.id, None, 0, text) for text in remarks
                ]
            add_failures(failures, problems)
        return cases

    def _all_results(self, indices: Sequence[int], progress: Progress) -> list[_Result]:
        results = []
        progress.begin("masks", len(indices))
        try:
            with warnings.catch_warnings():
                # MONAI warns of itself. Here and not in the threads: filters are for all of them.
                warnings.simplefilter("ignore")
                for result in self._results(indices):
                    results.append(result)
                    progress.advance(1)
        finally:
            progress.end()
        return results

    def _results(self, indices: Sequence[int]) -> Iterator[_Result]:
        """In order what is measured of each image, and warnings; a text: why it can't be."""
        volumes = self.store.attrs.dims == 3
        # An enlarged map of a volume is 100 MB and more: one at a time.
        threads = 1 if volumes else cores()
        with ThreadPoolExecutor(threads) as pool:
            for start in range(0, len(indices), threads * _AHEAD):
                part = indices[start : start + threads * _AHEAD]
                # The store is read here, by one thread.
                yield from pool.map(self._measured, [self._stored(i) for i in part])

    def _stored(self, index: int) -> _Stored | CaseError:
        try:
            labels = self.store.label_map(index)
            values = {label: row.read(self.store, index) for label, row in self.rows.items()}
        except CaseError as error:
            return error
        return (
            index,
            labels,
            {c: np.abs(v) if self.rows[c].signed else v for c, v in values.items()},
        )

    def _measured(self, stored: _Stored | CaseError) -> _Result:
        if isinstance(stored, CaseError):
            return f"not evaluated: {stored}"
        index, labels, values = stored
        store, header = self.store, self.store.headers[index]
        if labels is None or header.mask_source is None:
            return "not evaluated: it has no " + ("mask" if labels is not None else "prediction")
        try:
            grid = grid_of(store, header, self.axes)
            mask = open_label_map(header.mask_source, grid, self.classes, self.axes)
        except CaseError as error:
            return f"not evaluated: {error}"
        true: NDArray[np.int32] = np.broadcast_to(mask.labels, grid.shape)
        if header.slices is not None:
            # The slices that the model saw, each cut to what it saw of them.
            along = true.transpose(slices_first(store.axis(index)))[header.slices.index]
            true = along[:, *input_slices(*header.shape[1:], store.attrs.preprocessing)]
        elif labels.ndim == 2:
            true = true[0][input_slices(*header.shape[1:], store.attrs.preprocessing)]
        predicted = nearest(labels, true.shape)
        spacing = self._spacing(header)[-labels.ndim :]
        overlaps = [overlap_of(true == c, predicted == c, spacing) for c in self.labels]
        localizations = {
            label: localize(of_class, true == label)
            if (true == label).any()
            else unmeasured("the class is not in the mask")
            for label, of_class in values.items()
        }
        case = SegmentedCase(header=header, overlaps=tuple(overlaps), localizations=localizations)
        return case, mask.warnings

    def _spacing(self, header: MapHeader) -> tuple[float, ...]:
        """Of the image's voxels along z, y, x in the unit of distances."""
        if self.unit != "mm" or header.affine is None:
            return (1.0, 1.0, 1.0)
        lengths = np.linalg.norm(header.affine[:3, :3], axis=0)
        return tuple(float(length) for length in lengths[::-1])


def nearest(labels: NDArray[np.int32], size: Sequence[int]) -> NDArray[np.int32]:
    """Labels (h, w) or (d, h, w) at another ``size``, each pixel's the nearest one's."""
    places: list[NDArray[Any]] = [
        ((np.arange(length) + 0.5) * count / length).astype(np.intp)
        for length, count in zip(size, labels.shape, strict=True)
    ]
    enlarged: NDArray[np.int32] = labels[np.ix_(*places)]
    return enlarged
