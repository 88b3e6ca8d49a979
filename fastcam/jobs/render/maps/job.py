"""Attention and CAM maps, from their store to the plan of its figures."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from fastcam.errors import InputError
from fastcam.figures import fonts, glyph_atlas
from fastcam.figures.buffers import Buffers
from fastcam.figures.png_writer import write_sheet
from fastcam.jobs.render.case_selection import select
from fastcam.jobs.render.fingerprint import style_fingerprint
from fastcam.jobs.render.maps.captions import RenderCaptions, texts_of
from fastcam.jobs.render.maps.map_task import (
    MapFigures,
    MapTask,
    bounds_item,
    open_maps,
    render_map_item,
)
from fastcam.jobs.render.maps.plan import locate_maps, plan_maps, run_sources
from fastcam.jobs.render.plan import CohortPlan, Draw, Limits, RenderPlan
from fastcam.jobs.render.request import RenderRequest
from fastcam.read.inputs.preprocessing import volume_channels
from fastcam.read.volumes.sources import SourceIndex
from fastcam.run import work_items
from fastcam.run.folder import RunFolder
from fastcam.run.records import Failure
from fastcam.run.seen_inputs import SeenInputs
from fastcam.run.work_items import CaseSlices
from fastcam.store.map_rows import MapCase, MapRow, choose_rows, compared_texts
from fastcam.store.maps import MapStore


@dataclass(frozen=True, eq=False)
class MapSource:
    """A store of maps, whose options and folders were checked.

    Attributes:
        request: the settings of the job.
        store: the store of maps.
        rows: the maps that each figure shows.
        masks: the folder of the images' masks, if there is one.
    """

    request: RenderRequest
    store: MapStore
    rows: tuple[MapRow, ...]
    masks: SourceIndex | None

    @classmethod
    def of(cls, request: RenderRequest, store: MapStore) -> MapSource:
        """Check what a request says of a store. InputError for what only patches have."""
        if request.sources.root_dir is not None:
            store = MapStore.open(request.results, request.sources.root_dir)
        _check_options(request, store)
        _check_channel(request, store)
        request = _named_by_texts(request, store)
        mask_dir = request.sources.mask_dir
        masks = SourceIndex(mask_dir, mask=True) if mask_dir is not None else None
        return cls(request, store, choose_rows(store, request.choice), masks)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The settings that decide how the figures look, by option name."""
        request = self.request
        fingerprint = style_fingerprint(self.store.attrs.sha256, request.sources, request.style)
        captions = [row.caption for row in self.rows]
        if self.store.table is not None:
            fingerprint["pool"] = self.store.attrs.settings["pool"]
        if any(self.store.is_signed(row.array) for row in self.rows):
            fingerprint["sign"] = request.choice.sign or self.store.attrs.sign
        return {**fingerprint, "maps": captions, **request.captions.settings}

    def read(self) -> MapJob:
        """Choose the images to be drawn."""
        cases = [MapCase(header) for header in self.store.headers]
        selection = self.request.selection
        if selection.only_errors and all(case.right is None for case in cases):
            raise InputError(
                f"--only-errors: {self.store.path} has no labels that its predictions could be "
                "compared with; labels are class numbers"
            )
        indices = select(cases, selection)
        if self.request.finished_only:
            indices = [index for index in indices if cases[index].header.status != "open"]
        return MapJob(self, tuple(cases), tuple(indices))

    def draw_one(self, index: int, path: Path) -> tuple[str, ...]:
        """Draw the figure of image ``index``, from 0, into a file in this process; what there is to
        warn of. CaseError where its image or maps can't be read."""
        (case_slices,) = locate_maps(self.store, [index], self.masks, self.seen)
        figures = MapFigures.of(self._local_task, open_maps(self._local_task, case_slices))
        heat = figures.case_maps.heat
        sheet, _ = figures.sheet(0 if heat is None else heat.best_slice)
        write_sheet(path, sheet, figures.render_style, self.request.style.format, Buffers())
        return figures.warnings

    @cached_property
    def seen(self) -> SeenInputs:
        """What the model saw of the images."""
        return SeenInputs(self.store.path, self.request.trust_inputs)

    @cached_property
    def _local_task(self) -> MapTask:
        """The task of figures that are drawn without a cluster."""
        task = self.task()
        if self.request.style.scale != "cohort":
            return task
        everything = locate_maps(self.store, range(len(self.store.headers)), None)
        return replace(task, cohort=bounds_item(task, tuple(everything)))

    def task(self) -> MapTask:
        """What a worker needs to draw."""
        request, store = self.request, self.store
        characters = glyph_atlas.alphabet(texts_of(store, self.rows, request.captions))
        return MapTask(
            store_path=store.path.resolve(),
            store_created=store.attrs.created,
            output_dir=request.output_dir.resolve(),
            rows=self.rows,
            sources=run_sources(store, request.sources),
            style=request.style,
            mode=request.selection.mode,
            characters=characters,
            fonts=fonts.chain(characters, request.style.font),
            captions=request.captions,
        )


@dataclass(frozen=True, eq=False)
class MapJob:
    """The figures of the ``indices`` images of a store of maps, which has all ``cases``."""

    source: MapSource
    cases: tuple[MapCase, ...]
    indices: tuple[int, ...]

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The settings that decide how the figures look, by option name."""
        return self.source.fingerprint

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing is found out of maps."""
        return ()

    def import_into(self, folder: RunFolder) -> MapJob:
        """The job itself: its store is there already."""
        return self

    @property
    def store_path(self) -> Path:
        """The store of maps."""
        return self.source.store.path

    @property
    def failures(self) -> Sequence[Failure]:
        """None: images without maps are found when the figures are planned."""
        return ()

    @cached_property
    def _located(self) -> list[CaseSlices]:
        return locate_maps(self.source.store, self.indices, self.source.masks, self.source.seen)

    @property
    def masked(self) -> list[int]:
        """The numbers of the images that have a mask."""
        return [self.cases[c.case].place for c in self._located if c.mask is not None]

    def plan(self, finished: Container[str]) -> RenderPlan:
        """What is left to draw."""
        source, request = self.source, self.source.request
        task = source.task()
        figures = plan_maps(
            source.store, self._located, source.rows[0], request.selection, request.style, finished
        )
        return RenderPlan(
            available=self.cases,
            case_count=len(self.indices),
            figures=figures,
            draw=partial(render_map_item, task),
            fonts=task.fonts,
            cohort=self._cohort(task) if figures.cases else None,
        )

    def _cohort(self, task: MapTask) -> CohortPlan | None:
        """How the limits over all images of the store are found, where they are asked for."""
        if task.style.scale != "cohort":
            return None
        store = self.source.store
        everything = locate_maps(store, range(len(self.cases)), None)
        items = work_items.batches(everything, max(work_items.ITEM_FIGURES, store.batch))
        return CohortPlan(items, partial(bounds_item, task), partial(_cohort_draw, task))


def _check_channel(request: RenderRequest, store: MapStore) -> None:
    """InputError for a channel that the volumes of a store don't have."""
    attrs = store.attrs
    slicing = attrs.settings.get("slicing")
    context = None if slicing is None else slicing["context"]
    size, channels = attrs.preprocessing.get("size", ()), attrs.preprocessing.get("channels", 1)
    channel, count = request.sources.show_channel, volume_channels(channels, len(size), context)
    if channel is not None and channel > count:
        volumes = "volumes of one channel" if count == 1 else f"volumes of {count} channels"
        content = volumes if store.attrs.dims == 3 else "images"
        raise InputError(
            f"--show-channel {channel}: {store.path} holds maps of {content}; leave it out"
        )


def _cohort_draw(task: MapTask, limits: Sequence[Limits]) -> Draw:
    return partial(render_map_item, replace(task, cohort=tuple(limits)))


def _named_by_texts(request: RenderRequest, store: MapStore) -> RenderRequest:
    """A request whose classes are called as the texts that the outputs belong to, where they have
    no other names."""
    texts = compared_texts(store)
    if not texts or request.style.class_names or not isinstance(request.captions, RenderCaptions):
        return request
    style = replace(request.style, class_names=texts)
    return replace(request, style=style, captions=replace(request.captions, class_names=texts))


def _check_options(request: RenderRequest, store: MapStore) -> None:
    """InputError for what only patches have."""
    only_patches = {
        "--frame": request.sources.frame != "image",
        "--slices": request.sources.slices != "all",
        "--every-slice": request.selection.every_slice,
        "--analyze-stats": request.statistics,
    }
    for option, used in only_patches.items():
        if used:
            raise InputError(f"{option} is for patch attention, and {store.path} holds maps")
    if request.selection.mode == "all_slices" and store.attrs.dims == 2:
        raise InputError(f"--mode all_slices is for volumes, and {store.path} holds maps of images")
    root = request.sources.root_dir
    if root is not None and not root.is_dir():
        raise InputError(f"{root}: is not a folder; give --root-dir, where the images lie now")
