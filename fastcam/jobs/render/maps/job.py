"""What ``fastcam render`` does for a store of attention and CAM maps."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcam.errors import InputError
from fastcam.figures import fonts, lettering
from fastcam.figures.buffers import Buffers
from fastcam.figures.files import write_sheet
from fastcam.jobs.render.maps.captions import Captions, RenderCaptions, texts_of
from fastcam.jobs.render.maps.item import (
    MapJob,
    style_at,
    map_bounds_item,
    open_maps,
    render_map_item,
    sheet_of,
)
from fastcam.jobs.render.maps.plan import locate_maps, plan_maps
from fastcam.jobs.render.plan import DrawPlan
from fastcam.options import MapChoice, Selection, Sources, Style, style_fingerprint
from fastcam.read.volumes.sources import SourceIndex
from fastcam.run import scheduler
from fastcam.run import work_items as plan
from fastcam.run.file_names import Named
from fastcam.run.folder import RunFolder
from fastcam.run.progress import Progress
from fastcam.run.records import ItemResult, Failure
from fastcam.run.work_items import CaseSlices, WorkItem
from fastcam.store.map_rows import MapCase, choose_rows
from fastcam.store.maps import MapStore

if TYPE_CHECKING:
    from distributed import Client


class MapsJob:
    """The figures of a store of maps; each method is a stage of the job, in their order.

    Raises :class:`InputError` where an input is unusable, before anything is written.
    """

    def __init__(
        self,
        store: MapStore,
        output_dir: Path,
        sources: Sources,
        style: Style,
        selection: Selection,
        choice: MapChoice,
        statistics: bool,
        captions: Captions | None = None,
    ) -> None:
        self.store, self.output_dir = store, output_dir
        self.captions = captions or RenderCaptions()
        self.sources, self.style, self.selection = sources, style, selection
        _check_options(store, sources, selection, statistics)
        mask_dir = sources.mask_dir
        self._masks = SourceIndex(mask_dir, mask=True) if mask_dir is not None else None
        self._rows = choose_rows(store, choice)
        self._cases = [MapCase(header) for header in store.headers]
        self._chosen: list[int] = []
        self._job: MapJob

    def read(self, overwrite: bool) -> None:
        """Choose the images to be drawn."""
        if self.selection.only_errors and all(case.right is None for case in self._cases):
            raise InputError(
                f"--only-errors: {self.store.path} has no labels that its predictions could be "
                "compared with; labels are class numbers"
            )
        self._chosen = plan.select(self._cases, self.selection)

    def looks(self) -> dict[str, Any]:
        """The settings that decide how the figures look."""
        described = style_fingerprint(self.store.attrs.sha256, self.sources, self.style)
        return {**described, "maps": [row.caption for row in self._rows], **self.captions.settings}

    def import_into(self, folder: RunFolder) -> Iterator[Failure]:
        """Nothing: the store is there already."""
        yield from ()

    def plan(self, finished: Container[str]) -> DrawPlan:
        """What is left to draw."""
        store = self.store
        self._job = self.settings()
        located = locate_maps(store, self._chosen, self._masks)
        return plan_maps(store, located, self._rows, self.selection, self.style, finished)

    def settings(self) -> MapJob:
        """What a worker needs to draw."""
        characters = lettering.alphabet(texts_of(self.store, self._rows, self.captions))
        return MapJob(
            self.store.path.resolve(),
            self.store.attrs.created,
            self.output_dir.resolve(),
            self._rows,
            self.sources,
            self.style,
            self.selection.mode,
            characters,
            fonts.chain(characters, self.style.font),
            captions=self.captions,
        )

    @cached_property
    def _alone(self) -> MapJob:
        """The settings of figures that are drawn without a cluster."""
        job = self.settings()
        if self.style.scale != "cohort":
            return job
        everything = locate_maps(self.store, range(len(self._cases)), None)
        return replace(job, cohort=map_bounds_item(job, tuple(everything)))

    def draw_one(self, index: int, path: Path) -> str:
        """Draw the figure of image ``index``, from 0, into a file in this process; a warning where
        there is something to say. CaseError where its image or maps can't be read."""
        (portion,) = locate_maps(self.store, [index], self._masks)
        job = self._alone
        opened = open_maps(job, portion)
        at = 0 if opened.heat is None else opened.heat.best_slice
        render_style = style_at(job, opened)
        sheet, _ = sheet_of(job, opened, render_style, at)
        write_sheet(path, sheet, render_style, self.style.format, Buffers())
        return opened.image.warning

    @property
    def available(self) -> Sequence[Named]:
        """Every image of the store."""
        return self._cases

    @property
    def cases(self) -> int:
        """How many were chosen."""
        return len(self._chosen)

    @property
    def measured(self) -> Sequence[CaseSlices]:
        """No statistics are made of maps."""
        return ()

    def find_cohort(self, client: Client) -> None:
        """The limits of each row over all images of the store, whatever is selected."""
        everything = locate_maps(self.store, range(len(self._cases)), None)
        items = plan.batches(everything, max(plan.ITEM_FIGURES, self.store.batch))
        found = [b for _, b in scheduler.run(client, partial(map_bounds_item, self._job), items)]
        cohort = [
            (min(low for low, _ in row), max(high for _, high in row))
            for row in zip(*found, strict=True)
        ]
        self._job = replace(self._job, cohort=tuple(cohort))

    @property
    def drawer(self) -> Callable[[WorkItem], ItemResult]:
        """Draws a work item, in a worker."""
        return partial(render_map_item, self._job)

    def measure(self, client: Client, progress: Progress) -> list[Path]:
        """Nothing to measure."""
        return []


def _check_options(
    store: MapStore, sources: Sources, selection: Selection, statistics: bool
) -> None:
    """InputError for what only patches have."""
    wrong = {
        "--frame": sources.frame != "image",
        "--slices": sources.slices != "all",
        "--every-slice": selection.every_slice,
        "--analyze-stats": statistics,
    }
    for option, given in wrong.items():
        if given:
            raise InputError(f"{option} is for patch attention, and {store.path} holds maps")
    if selection.mode == "all_slices" and store.attrs.dims == 2:
        raise InputError(f"--mode all_slices is for volumes, and {store.path} holds maps of images")
    root = sources.root_dir
    if root is not None and not root.is_dir():
        raise InputError(f"{root}: is not a folder; give --root-dir, where the images lie now")
