"""Planning the figures of a store of maps: which maps, which images, which slices. No pixels."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from fastcam_kernels.resize import slice_of
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.jobs.render.plan import DrawPlan
from fastcam.options import Selection, Style
from fastcam.read.volumes.sources import SourceIndex
from fastcam.run import file_names
from fastcam.run.records import Failure
from fastcam.run.work_items import CaseSlices
from fastcam.store.map_rows import MapCase, MapRow, check_done, depth_of
from fastcam.store.maps import MapStore


@dataclass(frozen=True, eq=False)
class VolumeHeat:
    """Where along a volume of ``depth`` slices a map has its heat.

    ``values`` (d, h, w) float32, raw, covers the volume's field.
    """

    case: MapCase
    values: NDArray[np.float32]
    depth: int
    signed: bool

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
        return {z: float(slice_of(means, z, self.depth)) for z in range(self.depth)}

    @cached_property
    def best_slice(self) -> int:
        """The slice that holds the highest heat (the largest magnitude where signed); ties: the
        lowest index."""
        values = np.abs(self.values) if self.signed else self.values
        return int(np.argmax([slice_of(values, z, self.depth).max() for z in range(self.depth)]))


def locate_maps(
    store: MapStore, chosen: Iterable[int], masks: SourceIndex | None
) -> list[CaseSlices]:
    """The files of each chosen image and its mask; ``masks`` replace those the store knows."""
    located = []
    for index in chosen:
        header = store.headers[index]
        mask, missing = header.mask_source, ""
        if masks is not None:
            try:
                mask = masks.find(header.id)
            except CaseError as error:
                mask, missing = None, str(error)
        path = None if mask is None else str(mask)
        located.append(CaseSlices(index, (), False, str(header.source), "", path, missing))
    return located


def plan_maps(
    store: MapStore,
    located: Sequence[CaseSlices],
    rows: Sequence[MapRow],
    selection: Selection,
    style: Style,
    finished: Container[str],
) -> DrawPlan:
    """The figures that are not among the ``finished`` paths, image by image."""
    drawing = DrawPlan()
    volumes = store.attrs.dims == 3
    for portion in located:
        case = MapCase(store.headers[portion.case])
        try:
            paths, summary = _paths(store, portion.case, case, rows[0], selection, style, volumes)
        except CaseError as error:
            drawing.planned += 1
            drawing.failures.append(Failure("error", case.place, case.name, None, 1, str(error)))
            continue
        left = tuple(index for index, path in paths.items() if path not in finished)
        drawing.planned += len(paths)
        drawing.already += len(paths) - len(left)
        wanted = bool(summary) and summary not in finished
        if left or wanted:
            drawing.portions.append(
                CaseSlices(
                    portion.case, left, wanted, portion.image, "", portion.mask,
                    portion.mask_missing,
                )
            )  # fmt: skip
    return drawing


def _paths(
    store: MapStore,
    index: int,
    case: MapCase,
    first: MapRow,
    selection: Selection,
    style: Style,
    volumes: bool,
) -> tuple[dict[int, str], str]:
    """Slice -> path of each figure of an image, and the path of its summary, if it has one."""
    check_done(case.header)
    if not volumes:
        return {0: file_names.image_path(case, style.format)}, ""
    heat = VolumeHeat(case, first.read(store, index), depth_of(case.header), first.signed)
    if selection.mode == "best_slice":
        best = heat.best_slice
        return {best: file_names.best_slice_path(case, best, style.format)}, ""
    paths = {z: file_names.slice_path(heat, z, style.format) for z in range(heat.depth)}
    return paths, file_names.summary_path(case)
