"""The images and volumes of one work item with their maps, opened to be drawn. Runs inside a
worker."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.figures import layout
from fastcam.figures.figure_parts import Sheet
from fastcam.figures.map_figure import MapPanel, MapPicture, map_sheet
from fastcam.figures.map_scales import (
    MapScale,
    attention_bounds,
    bounds,
    has_negatives,
    map_scale,
)
from fastcam.figures.render_style import RenderStyle, render_style_of
from fastcam.jobs.render.maps.captions import Captions, RenderCaptions, row_captions, row_note
from fastcam.jobs.render.maps.image import (
    OpenImage,
    SliceView,
    VolumeImage,
    open_image,
    open_volume_image,
)
from fastcam.jobs.render.maps.outlines import with_outlines
from fastcam.jobs.render.maps.plan import VolumeHeat, heat_of
from fastcam.jobs.render.maps.volume_summary import summary_text
from fastcam.jobs.render.plan import Limits
from fastcam.jobs.render.worker_loop import (
    CaseFigure,
    CaseFigures,
    Summary,
    draw_item,
)
from fastcam.options import Mode, PictureFormat, Sources, Style
from fastcam.run import file_names
from fastcam.run.file_names import NumberedCase
from fastcam.run.files import make_folder
from fastcam.run.recent_cache import RecentCache
from fastcam.run.records import FigureRecord, ItemResult
from fastcam.run.seen_inputs import check_seen
from fastcam.run.work_items import CaseSlices, WorkItem
from fastcam.storage.locations import is_path
from fastcam.store.map_rows import MapCase, MapRow
from fastcam.store.map_schema import MapHeader
from fastcam.store.maps import MapStore
from fastcam.store.random_weights import RANDOM_WEIGHTS


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
        started: when the run began (ns), so that inputs that changed between two runs of a process
            are opened anew.
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
    started: int = field(default_factory=time.time_ns)

    @property
    def store(self) -> MapStore:
        """The store, opened once in each process and run: it may have grown since the last."""
        return _opened_store(
            self.store_path, self.sources.root_dir, self.store_created, self.started
        )

    @property
    def format(self) -> PictureFormat:
        """The format of the figures."""
        return self.style.format

    def header(self, case: int) -> NumberedCase:
        """Number and name of an image or volume, which counts from 0 in the store."""
        return MapCase(self.store.headers[case])

    def open(self, case_slices: CaseSlices) -> MapFigures:
        """Open an image or volume. CaseError where it or one of its maps can't be read."""
        case_maps = _recent.get((self, case_slices.case), partial(open_maps, self, case_slices))
        if case_maps.heat is not None and self.mode == "all_slices":
            make_folder(self.output_dir / file_names.case_folder(case_maps.case))
        return MapFigures.of(self, case_maps)


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
        labels: (h, w) or (d, h, w), of a segmentation the class predicted of every pixel.
    """

    case: MapCase
    image: OpenImage
    values: tuple[NDArray[np.float32], ...]
    scales: tuple[MapScale, ...]
    heat: VolumeHeat | None
    inputs: Mapping[int, OpenImage] = field(default_factory=dict)
    labels: NDArray[np.int32] | None = None

    def image_of(self, row: MapRow) -> OpenImage:
        """The image that a row's map lies over."""
        return self.image if row.input is None else self.inputs.get(row.input, self.image)


@dataclass(frozen=True, eq=False)
class MapFigures(CaseFigures):
    """An image or volume with its maps, and the style of its figures."""

    task: MapTask
    case_maps: OpenMaps
    render_style: RenderStyle

    @classmethod
    def of(cls, task: MapTask, case_maps: OpenMaps) -> MapFigures:
        """Prepare the style for panels of the image's size."""
        aspect = task.style.shown_aspect(case_maps.image.pixel_aspect)
        side = max(layout.enlarged(*case_maps.image.size, task.style.panel_size, aspect))
        return cls(task, case_maps, render_style_of(task.style, task.characters, task.fonts, side))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about the volume and its mask, and why there is none, if one was wanted."""
        return self.case_maps.image.warnings

    def figure(self, index: int) -> CaseFigure:
        """The figure of the image, or of slice ``index`` of the volume."""
        task, case, heat = self.task, self.case_maps.case, self.case_maps.heat
        best, average = True, float(self.case_maps.values[0].mean())
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
        low, high = limits[0]
        record = FigureRecord(
            path=path,
            place=case.place,
            case=case.name,
            slice=index,
            best=best,
            average=average,
            low=low,
            high=high,
            limits=limits_text,
        )
        return CaseFigure(sheet, self.render_style, record)

    def sheet(self, index: int) -> tuple[Sheet, list[Limits]]:
        """The panels of the image, or of slice ``index``, and the limits of each map."""
        task, case_maps, heat = self.task, self.case_maps, self.case_maps.heat
        header = case_maps.case.header
        captions = row_captions(task.rows, header, task.captions, index)
        maps = [
            MapPanel(
                caption,
                self._values(row, values, index),
                scale,
                row_note(row, header),
                self._picture(row, index),
            )
            for row, caption, values, scale in zip(
                task.rows, captions, case_maps.values, case_maps.scales, strict=True
            )
        ]
        best = heat is None or index == heat.best_slice
        if case_maps.scales[0].constant and not task.style.classic:
            best = False  # of a map that is the same everywhere
        heading = task.captions.heading(header, None if heat is None else index, best)
        sheet, limits = map_sheet(
            heading,
            with_outlines(case_maps.image, header, task.store, index, case_maps.labels),
            maps,
            self.render_style,
            task.captions.overlay_first,
        )
        if task.store.attrs.settings.get("random_weights"):
            sheet = replace(sheet, note="  ".join(filter(None, [RANDOM_WEIGHTS, sheet.note])))
        return sheet, limits

    def slice_of(self, index: int) -> int | None:
        """The slice; None for an image."""
        return None if self.case_maps.heat is None else index

    def summary(self) -> Summary | None:
        """What was predicted of a volume, and its slices by their heat."""
        case, heat = self.case_maps.case, self.case_maps.heat
        if heat is None:
            return None
        caption = row_captions(self.task.rows, case.header, self.task.captions)[0]
        path = file_names.summary_path(case)
        record = FigureRecord(path=path, place=case.place, case=case.name)
        return Summary(summary_text(heat, caption), record)

    def _picture(self, row: MapRow, index: int) -> MapPicture | None:
        """What a row lies over where that isn't the figure's image: of a volume its slice at the
        same share of the depth."""
        if row.input is None:
            return None
        image, heat = self.case_maps.image_of(row), self.case_maps.heat
        if heat is not None and isinstance(image, VolumeImage):
            index = index * len(image.volume.voxels) // heat.depth
        return replace(image.cut(index), name=row.input_name)

    def _values(self, row: MapRow, values: NDArray[np.float32], index: int) -> NDArray[np.float32]:
        """The map of a slice, turned as its picture is."""
        heat = self.case_maps.heat
        layer = values if heat is None else heat.of_slice(values, index)
        display = self.case_maps.image_of(row).display
        return np.ascontiguousarray(display.apply(layer), dtype=np.float32)


@lru_cache(maxsize=2)
def _opened_store(path: Path, root: Path | None, created: str, started: int) -> MapStore:
    return MapStore.open(path, root)


_recent: RecentCache[OpenMaps] = RecentCache()


def render_map_item(task: MapTask, item: WorkItem) -> ItemResult:
    """Draw and write all figures of an item: see ``worker_loop.draw_item``."""
    return draw_item(task, item)


def scale_of(
    row: MapRow,
    values: NDArray[np.float32],
    style: Style,
    cohort: Limits | None = None,
) -> MapScale:
    """The scale of a row's map (h, w) or (d, h, w), raw; ``cohort`` from :func:`bounds_item`."""
    if style.classic:
        return map_scale(values, style.scale, row.signed, cohort)
    both = row.signed or has_negatives(values) or (cohort is not None and cohort[0] < 0)
    return map_scale(values, style.scale, both, cohort, attention=row.is_attention)


def bounds_item(task: MapTask, item: WorkItem) -> tuple[Limits, ...]:
    """For each row the limits over the maps of an item's images, of attention as multiples of
    uniform; images without maps are left out, and drawing says why."""
    lows = np.full(len(task.rows), np.inf)
    highs = np.full(len(task.rows), -np.inf)
    for case_slices in item:
        for number, row in enumerate(task.rows):
            try:
                values = row.read(task.store, case_slices.case)
            except CaseError:
                continue
            multiples = row.is_attention and not task.style.classic
            low, high = attention_bounds(values) if multiples else bounds(values, row.signed)
            lows[number], highs[number] = min(lows[number], low), max(highs[number], high)
    return tuple(zip(lows.tolist(), highs.tolist(), strict=True))


def open_maps(task: MapTask, case_slices: CaseSlices) -> OpenMaps:
    """An image or volume with its maps. CaseError where one isn't there, or not what was run."""
    check_seen(case_slices.seen)
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
        scale_of(row, array, task.style, limits)
        for row, array, limits in zip(task.rows, values, cohort, strict=True)
    )
    inputs = open_inputs(task, case.header, image)
    labels = store.label_map(case_slices.case)
    return OpenMaps(case, image, values, scales, heat, inputs, labels)


def open_inputs(task: MapTask, header: MapHeader, image: OpenImage) -> dict[int, OpenImage]:
    """By number the images, beside the case's own, that rows of the figure lie over."""
    preprocessing = task.store.attrs.preprocessing
    images: dict[int, OpenImage] = {}
    for number in dict.fromkeys(row.input for row in task.rows if row.input is not None):
        source = header.inputs[number]
        if not is_path(source) or source == header.source:
            images[number] = image
            continue
        # Its shape is not in the store, which has that of the case's own.
        own = replace(header, source=source, shape=(0, 0, 0))
        if task.store.attrs.dims == 3:
            images[number] = open_volume_image(own, None, "", task.sources, preprocessing)
        else:
            images[number] = open_image(own, None, "", preprocessing, task.sources.orient)
    return images
