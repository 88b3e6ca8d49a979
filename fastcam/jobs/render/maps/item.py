"""The images and volumes of one work item with their maps, opened to be drawn. Runs inside a
worker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.figures import layout
from fastcam.figures.map_scales import MapScale, bounds, map_scale
from fastcam.figures.map_sheets import MapPanel, MapPicture, map_sheet
from fastcam.figures.patch_sheets import RenderStyle, render_style_of
from fastcam.figures.sheet import Sheet
from fastcam.jobs.render.item import CaseFigure, CaseFigures, Summary, draw_item
from fastcam.jobs.render.maps.captions import Captions, RenderCaptions, row_captions
from fastcam.jobs.render.maps.image import (
    OpenImage,
    SliceView,
    VolumeImage,
    open_image,
    open_volume_image,
)
from fastcam.jobs.render.maps.plan import VolumeHeat, heat_of
from fastcam.jobs.render.maps.summary import summary_text
from fastcam.jobs.render.plan import Limits
from fastcam.options import Mode, PictureFormat, Sources, Style
from fastcam.run import file_names
from fastcam.run.file_names import NumberedCase
from fastcam.run.files import make_folder
from fastcam.run.recent_cache import RecentCache
from fastcam.run.records import FigureRecord, ItemResult
from fastcam.run.work_items import CaseSlices, WorkItem
from fastcam.store.map_rows import MapCase, MapRow
from fastcam.store.map_schema import MapHeader
from fastcam.store.maps import MapStore


@dataclass(frozen=True, kw_only=True)
class MapTask:
    """All that a worker needs besides the item; small, it travels with every item.

    Attributes:
        store_path: the store of maps.
        store_created: when it was made, so that one that is made anew is opened anew.
        output_dir: the folder of the figures.
        rows: the maps that each figure shows, a row of panels each.
        sources: the geometry of images and masks, and the folder of the images now.
        style: the look of the figures.
        mode: one figure a volume, or one a slice in a folder of the volume's own.
        characters: the characters beyond the basic ones that stand on figures.
        fonts: the font files that have them.
        cohort: the limits of each row over all images, for the scale ``cohort``.
        captions: the texts on the figures.
    """

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
    captions: Captions = field(default_factory=RenderCaptions)

    @property
    def store(self) -> MapStore:
        """The store, opened once in each process."""
        return _opened_store(self.store_path, self.sources.root_dir, self.store_created)

    @property
    def format(self) -> PictureFormat:
        """The format of the figures."""
        return self.style.format

    def header(self, case: int) -> NumberedCase:
        """Number and name of an image or volume, which counts from 0 in the store."""
        return MapCase(self.store.headers[case])

    def open(self, case_slices: CaseSlices) -> MapFigures:
        """Open an image or volume. CaseError where it or one of its maps can't be read."""
        opened = _recent.get((self, case_slices.case), partial(open_maps, self, case_slices))
        if opened.heat is not None and self.mode == "all_slices":
            make_folder(self.output_dir / file_names.case_folder(opened.case))
        return MapFigures.of(self, opened)


@dataclass(frozen=True, eq=False)
class OpenMaps:
    """An image or volume with its maps.

    Attributes:
        case: its number and name, and what is known of it.
        image: its pixels.
        values: the map of each row, (h, w) or (d, h, w) float32, raw.
        scales: the scale of each row.
        heat: where along a volume the first row's map has its heat; None for an image.
        inputs: of a model with several images by the input's number its pixels.
    """

    case: MapCase
    image: OpenImage
    values: tuple[NDArray[np.float32], ...]
    scales: tuple[MapScale, ...]
    heat: VolumeHeat | None
    inputs: Mapping[int, OpenImage] = field(default_factory=dict)

    def image_of(self, row: MapRow) -> OpenImage:
        """The image that a row's map lies over."""
        return self.image if row.input is None else self.inputs.get(row.input, self.image)


@dataclass(frozen=True, eq=False)
class MapFigures(CaseFigures):
    """An image or volume with its maps, and the style of its figures."""

    task: MapTask
    opened: OpenMaps
    render_style: RenderStyle

    @classmethod
    def of(cls, task: MapTask, opened: OpenMaps) -> MapFigures:
        """Prepare the style for panels of the image's size."""
        side = max(layout.enlarged(*opened.image.size, task.style.panel_size))
        return cls(task, opened, render_style_of(task.style, task.characters, task.fonts, side))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about the volume and its mask, and why there is none, if one was wanted."""
        return self.opened.image.warnings

    def figure(self, index: int) -> CaseFigure:
        """The figure of the image, or of slice ``index`` of the volume."""
        task, case, heat = self.task, self.opened.case, self.opened.heat
        best, average = True, float(self.opened.values[0].mean())
        if heat is None:
            path = file_names.image_path(case, task.format)
        else:
            best, average = index == heat.best_slice, heat.slice_averages[index]
            all_slices = task.mode == "all_slices"
            path_of = file_names.slice_path if all_slices else file_names.best_slice_path
            path = path_of(heat, index, task.format)
        sheet, limits = self.sheet(index)
        captions = row_captions(task.rows, case.header, task.captions, index)
        limits_text = json.dumps(dict(zip(captions, limits, strict=True)), ensure_ascii=False)
        record = FigureRecord(
            path, case.place, case.name, index, best, average, *limits[0], limits_text
        )
        return CaseFigure(sheet, self.render_style, record)

    def sheet(self, index: int) -> tuple[Sheet, list[Limits]]:
        """The panels of the image, or of slice ``index``, and the limits of each map."""
        task, opened, heat = self.task, self.opened, self.opened.heat
        header = opened.case.header
        captions = row_captions(task.rows, header, task.captions, index)
        maps = [
            MapPanel(
                caption,
                self._values(row, values, index),
                scale,
                row.note,
                self._picture(row, index),
            )
            for row, caption, values, scale in zip(
                task.rows, captions, opened.values, opened.scales, strict=True
            )
        ]
        best = heat is None or index == heat.best_slice
        heading = task.captions.heading(header, None if heat is None else index, best)
        return map_sheet(
            heading, opened.image.cut(index), maps, self.render_style, task.captions.overlay_first
        )

    def slice_of(self, index: int) -> int | None:
        """The slice; None for an image."""
        return None if self.opened.heat is None else index

    def summary(self) -> Summary | None:
        """What was predicted of a volume, and its slices by their heat."""
        case, heat = self.opened.case, self.opened.heat
        if heat is None:
            return None
        caption = row_captions(self.task.rows, case.header, self.task.captions)[0]
        path = file_names.summary_path(case)
        record = FigureRecord(path, case.place, case.name, None, False, 0.0, 0.0, 0.0)
        return Summary(summary_text(heat, caption), record)

    def _picture(self, row: MapRow, index: int) -> MapPicture | None:
        """What a row lies over where that isn't the figure's image: of a volume its slice at the
        same share of the depth."""
        if row.input is None:
            return None
        image, heat = self.opened.image_of(row), self.opened.heat
        if heat is not None and isinstance(image, VolumeImage):
            index = index * len(image.volume.voxels) // heat.depth
        return replace(image.cut(index), name=row.input_name)

    def _values(self, row: MapRow, values: NDArray[np.float32], index: int) -> NDArray[np.float32]:
        """The map of a slice, turned as its picture is."""
        heat = self.opened.heat
        layer = values if heat is None else heat.of_slice(values, index)
        display = self.opened.image_of(row).display
        return np.ascontiguousarray(display.apply(layer), dtype=np.float32)


@lru_cache(maxsize=2)
def _opened_store(path: Path, root: Path | None, created: str) -> MapStore:
    return MapStore.open(path, root)


_recent: RecentCache[OpenMaps] = RecentCache()


def render_map_item(task: MapTask, item: WorkItem) -> ItemResult:
    """Draw and write all figures of an item: see :func:`~fastcam.jobs.render.item.draw_item`."""
    return draw_item(task, item)


def bounds_item(task: MapTask, item: WorkItem) -> tuple[Limits, ...]:
    """For each row the limits over the maps of an item's images; images without maps are left
    out, and drawing says why."""
    lows = np.full(len(task.rows), np.inf)
    highs = np.full(len(task.rows), -np.inf)
    for case_slices in item:
        for number, row in enumerate(task.rows):
            try:
                low, high = bounds(row.read(task.store, case_slices.case), row.signed)
            except CaseError:
                continue
            lows[number], highs[number] = min(lows[number], low), max(highs[number], high)
    return tuple(zip(lows.tolist(), highs.tolist(), strict=True))


def open_maps(task: MapTask, case_slices: CaseSlices) -> OpenMaps:
    """An image or volume with its maps. CaseError where one of them isn't there."""
    store = task.store
    case = MapCase(store.headers[case_slices.case])
    values = tuple(row.read(store, case_slices.case) for row in task.rows)
    mask, missing = case_slices.mask, case_slices.mask_missing
    image: OpenImage
    heat = None
    if store.attrs.dims == 3:
        view = SliceView.of(store, case_slices.case)
        image = open_volume_image(
            case.header, mask, missing, task.sources, store.attrs.preprocessing, view
        )
        heat = heat_of(case, values[0], task.rows[0].signed)
    else:
        image = open_image(
            case.header, mask, missing, store.attrs.preprocessing, task.sources.orient
        )
    cohort = task.cohort or [None] * len(values)
    scales = tuple(
        map_scale(array, task.style.scale, row.signed, limits)
        for row, array, limits in zip(task.rows, values, cohort, strict=True)
    )
    return OpenMaps(case, image, values, scales, heat, _open_inputs(task, case.header, image))


def _open_inputs(task: MapTask, header: MapHeader, image: OpenImage) -> dict[int, OpenImage]:
    """By number the images, beside the case's own, that rows of the figure lie over."""
    preprocessing = task.store.attrs.preprocessing
    opened: dict[int, OpenImage] = {}
    for number in dict.fromkeys(row.input for row in task.rows if row.input is not None):
        source = header.inputs[number]
        if not isinstance(source, Path) or source == header.source:
            opened[number] = image
            continue
        # Its shape is not in the store, which has that of the case's own.
        own = replace(header, source=source, shape=(0, 0, 0))
        if task.store.attrs.dims == 3:
            opened[number] = open_volume_image(own, None, "", task.sources, preprocessing)
        else:
            opened[number] = open_image(own, None, "", preprocessing, task.sources.orient)
    return opened
