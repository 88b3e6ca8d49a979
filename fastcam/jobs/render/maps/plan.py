"""Planning the figures of a store of maps: which maps, which images, which slices. No pixels."""

from __future__ import annotations

import bisect
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from fastcam_kernels.resize import slice_of
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.jobs.render.plan import FigurePlan, unfinished
from fastcam.options import Selection, Sources, Style
from fastcam.read.volumes.sources import SourceIndex
from fastcam.run import file_names
from fastcam.run.records import Failure
from fastcam.run.seen_inputs import NOTHING_SEEN, SeenFile, SeenInputs
from fastcam.run.work_items import CaseSlices
from fastcam.storage.locations import as_path, is_path
from fastcam.store.map_rows import MapCase, MapRow, check_done, depth_of
from fastcam.store.map_schema import MapHeader
from fastcam.store.maps import MapStore


@dataclass(frozen=True, eq=False)
class VolumeHeat:
    """Where along a volume a map has its heat.

    Attributes:
        case: the volume's number and name.
        values: the map (d, h, w) float32, raw, over the volume's field; or that of each slice that
            is in ``model_slices``.
        depth: slices of the volume.
        signed: whether the map has evidence for and against.
        model_slices: the slices that the model saw, ascending, of a volume that it saw slice by
            slice; None where it saw the whole volume.
    """

    case: MapCase
    values: NDArray[np.float32]
    depth: int
    signed: bool
    model_slices: tuple[int, ...] | None = None

    @property
    def slices(self) -> Sequence[int]:
        """The slices that have heat."""
        return range(self.depth) if self.model_slices is None else self.model_slices

    def of_slice(self, values: NDArray[np.float32], index: int) -> NDArray[np.float32]:
        """The part (h, w) of a map like ``values`` at slice ``index``; CaseError where the model
        did not see that slice."""
        if self.model_slices is None:
            interpolated: NDArray[np.float32] = slice_of(values, index, self.depth)
            return interpolated
        at = bisect.bisect_left(self.model_slices, index)
        if at == len(self.model_slices) or self.model_slices[at] != index:
            raise CaseError(f"slice {index} has no map: the model did not see it")
        layer: NDArray[np.float32] = values[at]
        return layer

    @property
    def place(self) -> int:
        """1-based, in the run."""
        return self.case.place

    @property
    def name(self) -> str:
        """The volume's id."""
        return self.case.name

    @cached_property
    def slice_averages(self) -> dict[int, float]:
        """Slice of the volume -> mean heat on it."""
        means = self.values.mean(axis=(1, 2), dtype=np.float64)
        if self.model_slices is not None:
            return dict(zip(self.model_slices, means.tolist(), strict=True))
        return {z: float(slice_of(means, z, self.depth)) for z in range(self.depth)}

    @cached_property
    def best_slice(self) -> int:
        """The slice that holds the highest heat (the largest magnitude where signed); ties: the
        lowest index. Of slices that were seen one by one it is the same: raw maps of one layer are
        in one unit, whichever slice they are of."""
        values = np.abs(self.values) if self.signed else self.values
        if self.model_slices is not None:
            return self.model_slices[int(np.argmax(values.max(axis=(1, 2))))]
        return int(np.argmax([slice_of(values, z, self.depth).max() for z in range(self.depth)]))


def heat_of(case: MapCase, values: NDArray[np.float32], signed: bool) -> VolumeHeat:
    """Where a map of a volume, as the store has it, has its heat; CaseError where the store doesn't
    say how many slices the volume has."""
    predictions = case.header.slices
    slices = None if predictions is None else tuple(predictions.index.tolist())
    return VolumeHeat(case, values, depth_of(case.header), signed, slices)


def locate_maps(
    store: MapStore,
    indices: Iterable[int],
    masks: SourceIndex | None,
    seen: SeenInputs = NOTHING_SEEN,
) -> list[CaseSlices]:
    """The files of each chosen image and its mask, and what was ``seen`` of them; ``masks`` replace
    those the store knows."""
    located = []
    for index in indices:
        header = store.headers[index]
        mask, missing = header.mask_source, ""
        if masks is not None:
            try:
                mask = masks.find(header.id)
            except CaseError as error:
                mask, missing = None, str(error)
        path = None if mask is None else str(mask)
        mask = None if mask is None else as_path(mask)
        files = seen_files(header, seen, mask)
        others = [str(value) for value in header.inputs if is_path(value)]
        inputs = (*others, str(store.output_file(index)))
        located.append(
            CaseSlices(index, (), False, str(header.source), "", path, missing, inputs, files)
        )
    return located


def run_sources(store: MapStore, sources: Sources) -> Sources:
    """The sources of maps: arrays lie as they did in the run, and the volume is that which was run
    where none is asked for."""
    settings = store.attrs.settings
    volume = settings.get("volume")
    if volume and sources.volume is None:
        sources = replace(sources, volume=str(volume))
    return replace(sources, axes="xyz") if settings.get("axes") == "xyz" else sources


def seen_files(
    header: MapHeader, seen: SeenInputs, mask: Path | None = None
) -> tuple[SeenFile, ...]:
    """What was ``seen`` of the files of an image or volume, and of the ``mask`` shown with it."""
    inputs = (value for value in header.inputs if is_path(value))
    return seen.files(header.place, (header.source, *inputs), mask)


def plan_maps(
    store: MapStore,
    located: Iterable[CaseSlices],
    first: MapRow,
    selection: Selection,
    style: Style,
    finished: Container[str],
) -> FigurePlan:
    """The figures that are not among the ``finished`` paths, image by image. The ``first`` row's
    map decides which slice of a volume is the best."""

    def plan_of(case_slices: CaseSlices) -> FigurePlan:
        case = MapCase(store.headers[case_slices.case])
        try:
            paths, summary_path = _paths(store, case_slices.case, first, selection, style)
        except CaseError as error:
            failure = Failure("error", case.place, case.name, None, 1, str(error))
            return FigurePlan(planned=1, failures=(failure,))
        left, summary = unfinished(paths, summary_path, finished)
        plan = FigurePlan(planned=len(paths), already=len(paths) - len(left))
        if left or summary:
            plan = replace(plan, cases=(replace(case_slices, slices=left, summary=summary),))
        return plan

    return FigurePlan.joined(map(plan_of, located))


def _paths(
    store: MapStore, index: int, first: MapRow, selection: Selection, style: Style
) -> tuple[dict[int, str], str]:
    """Slice -> path of each figure of an image, and the path of its summary, if it has one."""
    case = MapCase(store.headers[index])
    check_done(case.header)
    if store.attrs.dims == 2:
        return {0: file_names.image_path(case, style.format)}, ""
    heat = heat_of(case, first.read(store, index), first.signed)
    if selection.mode == "best_slice":
        best = heat.best_slice
        return {best: file_names.best_slice_path(case, best, style.format)}, ""
    paths = {z: file_names.slice_path(heat, z, style.format) for z in heat.slices}
    return paths, file_names.summary_path(case)
