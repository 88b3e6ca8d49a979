"""Figures of maps, from the store and the images to files on disk. Runs inside a worker."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from fastcam_kernels.resize import slice_of
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.figures import layout
from fastcam.figures.buffers import Buffers
from fastcam.figures.files import WRITE_BATCH, WriteBatch
from fastcam.figures.map_scales import MapScale, bounds, map_scale
from fastcam.figures.map_sheets import ShownMap, map_sheet
from fastcam.figures.patch_sheets import RenderStyle, render_style_of
from fastcam.figures.sheet import Sheet
from fastcam.jobs.render.maps.captions import Captions, RenderCaptions, row_captions
from fastcam.jobs.render.maps.image import OpenImage, open_image, open_volume_image
from fastcam.jobs.render.maps.plan import VolumeHeat
from fastcam.jobs.render.maps.summary import RankedSlices, map_summary
from fastcam.options import Mode, Sources, Style
from fastcam.run import file_names
from fastcam.run.files import make_folder, write_text
from fastcam.run.recent import Recent
from fastcam.run.records import FigureRecord, ItemResult, Failure, attempt
from fastcam.run.work_items import CaseSlices, WorkItem
from fastcam.store.map_rows import MapCase, MapRow, depth_of
from fastcam.store.maps import MapStore

Limits = tuple[float, float]


@dataclass(frozen=True)
class MapJob:
    """All that a worker needs besides the item. ``cohort`` has the limits of each row;
    ``captions`` are the texts on the figures."""

    store_path: Path
    store_created: str
    output_dir: Path
    rows: tuple[MapRow, ...]
    sources: Sources
    style: Style
    mode: Mode
    characters: str
    fonts: tuple[Path, ...]
    cohort: tuple[Limits, ...] = ()
    captions: Captions = RenderCaptions()

    @property
    def store(self) -> MapStore:
        """The store, opened once in each process."""
        return _opened_store(self.store_path, self.sources.root_dir, self.store_created)


@dataclass(frozen=True, eq=False)
class OpenMaps:
    """An image or volume with its maps, each row's raw values (h, w) or (d, h, w) and scale."""

    case: MapCase
    image: OpenImage
    values: tuple[NDArray[np.float32], ...]
    scales: tuple[MapScale, ...]
    heat: VolumeHeat | None


@lru_cache(maxsize=2)
def _opened_store(path: Path, root: Path | None, created: str) -> MapStore:
    # `created` is there so that a store which was made anew is opened anew.
    return MapStore.open(path, root)


_write_buffers = tuple(Buffers() for _ in range(WRITE_BATCH))
_recent: Recent[OpenMaps] = Recent()


def render_map_item(job: MapJob, item: WorkItem) -> ItemResult:
    """Draw and write all figures of an item. One bad image or slice costs only its own figures.

    Raises :class:`OutputError` when a file can't be written: that ends the job.
    """
    drawn: list[FigureRecord] = []
    failures: list[Failure] = []
    for portion in item:
        case = MapCase(job.store.headers[portion.case])
        before = len(drawn)
        reason = attempt(partial(_draw_case, job, portion, drawn, failures))
        if reason:
            done = {record.slice for record in drawn[before:]}
            left = len([index for index in portion.slices if index not in done])
            failures.append(Failure("error", case.place, case.name, None, left, reason))
    return ItemResult(tuple(drawn), tuple(failures))


def map_bounds_item(job: MapJob, item: WorkItem) -> tuple[Limits, ...]:
    """For each row the limits over the maps of an item's images; images without maps are left
    out, and drawing says why."""
    lows = np.full(len(job.rows), np.inf)
    highs = np.full(len(job.rows), -np.inf)
    for portion in item:
        for at, row in enumerate(job.rows):
            try:
                low, high = bounds(row.read(job.store, portion.case), row.signed)
            except CaseError:
                continue
            lows[at], highs[at] = min(lows[at], low), max(highs[at], high)
    return tuple(zip(lows.tolist(), highs.tolist(), strict=True))


def _draw_case(
    job: MapJob, portion: CaseSlices, drawn: list[FigureRecord], failures: list[Failure]
) -> None:
    opened = _recent.get((job, portion.case), partial(open_maps, job, portion))
    case = opened.case
    if opened.image.warning:
        failures.append(Failure("warning", case.place, case.name, None, 0, opened.image.warning))
    render_style = style_at(job, opened)
    if opened.heat is not None and job.mode == "all_slices":
        make_folder(job.output_dir / file_names.case_folder(case))
    write_batch = WriteBatch(_write_buffers)
    for index in portion.slices:
        reason = attempt(partial(_draw_slice, job, opened, render_style, index, write_batch, drawn))
        if reason:
            at = None if opened.heat is None else index
            failures.append(Failure("error", case.place, case.name, at, 1, reason))
    write_batch.finish()
    if portion.summary and opened.heat is not None:
        path = file_names.summary_path(case)
        told = _told(case, opened.heat, row_captions(job.rows, case.header, job.captions)[0])
        write_text(job.output_dir / path, map_summary(told))
        drawn.append(FigureRecord(path, case.place, case.name, None, False, 0.0, 0.0, 0.0))


def style_at(job: MapJob, opened: OpenMaps) -> RenderStyle:
    """The style for panels of an image's size."""
    side = max(layout.enlarged(*opened.image.size, job.style.panel_size))
    return render_style_of(job.style, job.characters, job.fonts, side)


def open_maps(job: MapJob, portion: CaseSlices) -> OpenMaps:
    """An image with its maps; CaseError where one of them isn't there."""
    case = MapCase(job.store.headers[portion.case])
    values = tuple(row.read(job.store, portion.case) for row in job.rows)
    image: OpenImage
    if job.store.attrs.dims == 3:
        image = open_volume_image(case.header, portion.mask, portion.mask_missing, job.sources)
        heat = VolumeHeat(case, values[0], depth_of(case.header), job.rows[0].signed)
    else:
        preprocessing = job.store.attrs.preprocessing
        image = open_image(case.header, portion.mask, portion.mask_missing, preprocessing)
        heat = None
    cohort = job.cohort or [None] * len(values)
    scales = tuple(
        map_scale(found, job.style.scale, row.signed, limits)
        for row, found, limits in zip(job.rows, values, cohort, strict=True)
    )
    return OpenMaps(case, image, values, scales, heat)


def _draw_slice(
    job: MapJob, opened: OpenMaps, render_style: RenderStyle, index: int, write_batch: WriteBatch, drawn: list[FigureRecord]
) -> None:  # fmt: skip
    case, heat = opened.case, opened.heat
    best, average = True, float(opened.values[0].mean())
    if heat is None:
        path = file_names.image_path(case, job.style.format)
    else:
        best, average = index == heat.best_slice, heat.slice_averages[index]
        path_of = file_names.slice_path if job.mode == "all_slices" else file_names.best_slice_path
        path = path_of(heat, index, job.style.format)
    sheet, limits = sheet_of(job, opened, render_style, index)
    captions = row_captions(job.rows, case.header, job.captions)
    said = json.dumps(dict(zip(captions, limits, strict=True)), ensure_ascii=False)
    record = FigureRecord(path, case.place, case.name, index, best, average, *limits[0], said)
    write_batch.put(
        job.output_dir / path, sheet, render_style, job.style.format, partial(drawn.append, record)
    )


def sheet_of(
    job: MapJob, opened: OpenMaps, render_style: RenderStyle, index: int
) -> tuple[Sheet, list[Limits]]:
    """The figure of an image, or of slice ``index``, and the limits of each of its maps."""
    case, heat = opened.case, opened.heat
    maps = [
        ShownMap(caption, _cells(opened, values, index), scale, row.note)
        for row, caption, values, scale in zip(
            job.rows,
            row_captions(job.rows, case.header, job.captions),
            opened.values,
            opened.scales,
            strict=True,
        )
    ]
    best = heat is None or index == heat.best_slice
    heading = job.captions.heading(case.header, None if heat is None else index, best)
    return map_sheet(
        heading, opened.image.cut(index), maps, render_style, job.captions.overlay_first
    )


def _cells(opened: OpenMaps, values: NDArray[np.float32], index: int) -> NDArray[np.float32]:
    """The map of a slice, turned as its picture is."""
    if opened.heat is None:
        return values
    layer = slice_of(values, index, opened.heat.depth)
    return np.ascontiguousarray(opened.image.display.apply(layer), dtype=np.float32)


def _told(case: MapCase, heat: VolumeHeat, caption: str) -> RankedSlices:
    header = case.header
    facts = {
        "Case": case.name,
        "Answer": RenderCaptions().heading(header, None, False).verdict,
        "Map": caption,
    }
    facts |= {"Slices": str(heat.depth), "Best slice": str(heat.best_slice)}
    facts |= {"Highest heat": f"{float(heat.values.max()):.4g}"}
    if len(header.output):
        facts["Output"] = ", ".join(f"{value:.4g}" for value in header.output[:20])
    return RankedSlices(facts, heat.slice_averages, heat.best_slice)
