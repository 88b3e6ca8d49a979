"""Patch attention, from a results file or run store to the plan of its figures."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from fastcam.errors import InputError
from fastcam.figures import fonts, glyph_atlas
from fastcam.jobs.render.case_selection import select
from fastcam.jobs.render.fingerprint import style_fingerprint
from fastcam.jobs.render.patches.frame_choice import FrameChoice, choose_frame
from fastcam.jobs.render.patches.measure import measure_item, peak_item
from fastcam.jobs.render.patches.patch_task import PatchTask, render_item
from fastcam.jobs.render.patches.plan import locate, plan_drawing
from fastcam.jobs.render.plan import CohortPlan, Draw, Limits, RenderPlan, StatisticsPlan
from fastcam.jobs.render.request import RenderRequest
from fastcam.options import AUTO_FRAME
from fastcam.read.results.results import Results, file_sha256, read_results
from fastcam.read.volumes.frames import parse_frame, parse_slices
from fastcam.read.volumes.sources import SourceIndex
from fastcam.run import work_items
from fastcam.run.folder import STORE, RunFolder
from fastcam.run.records import Failure
from fastcam.run.seen_inputs import SeenInputs
from fastcam.run.work_items import CaseSlices
from fastcam.store.patches import RunStore, create_from_results, open_store


@dataclass(frozen=True, eq=False)
class PatchSource:
    """A results file or run store of patch attention, whose options and folders were checked.

    Attributes:
        request: the settings of the job.
        images: the folder of the cases' images.
        masks: the folder of their masks, if there is one.
    """

    request: RenderRequest
    images: SourceIndex
    masks: SourceIndex | None

    @classmethod
    def of(cls, request: RenderRequest) -> PatchSource:
        """Check what a request says of its sources. InputError where they can't be used."""
        sources = request.sources
        if sources.frame != AUTO_FRAME:
            parse_frame(sources.frame)
        parse_slices(sources.slices)
        if sources.show_channel is not None:
            raise InputError(
                f"--show-channel is for maps of volumes of several channels, and {request.results} "
                "holds patch attention; of a 4-D file --volume is the one that is shown"
            )
        masks = SourceIndex(sources.mask_dir, mask=True) if sources.mask_dir is not None else None
        if sources.root_dir is None:
            raise InputError(
                f"{request.results} doesn't say where its images are: give --root-dir, the folder "
                "with a volume or folder for each case"
            )
        return cls(request, SourceIndex(sources.root_dir), masks)

    def read(self) -> PatchInput:
        """Read the run store given, or the one in the output folder, or the results file.

        InputError where the boxes don't lie in the frame that was asked for.
        """
        results = self.request.results
        content: RunStore | Results
        if results.is_dir():
            content = store = open_store(results)
            identity = store.attrs.sha256
        else:
            identity = file_sha256(results)
            content = _earlier_store(self.request, identity) or read_results(results)
        indices = select(content.cases, self.request.selection, content.rejected)
        sources = self.request.sources
        try:
            frame = choose_frame(content, indices, self.images, self.masks, sources)
        except InputError as error:
            raise InputError(f"{results}: {error}") from error
        request = replace(self.request, sources=frame.sources)
        return PatchInput(replace(self, request=request), identity, content, tuple(indices), frame)


@dataclass(frozen=True, eq=False)
class PatchInput:
    """Patch attention that was read, and its cases chosen.

    Attributes:
        source: what it was read from.
        identity: the SHA-256 of the results file, as hexadecimal digits.
        content: the run store that was there, or the results file's content.
        indices: the cases to be drawn, by their index in the content.
        frame: where their boxes lie, which the source's request has, too.
    """

    source: PatchSource
    identity: str
    content: RunStore | Results
    indices: tuple[int, ...]
    frame: FrameChoice

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found out and taken."""
        return (self.frame.note,) if self.frame.note else ()

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The settings that decide how the figures look, by option name."""
        request = self.source.request
        return style_fingerprint(self.identity, request.sources, request.style)

    def import_into(self, folder: RunFolder) -> PatchJob:
        """Make the run store of what was read, unless it is there."""
        content = self.content
        if isinstance(content, RunStore):
            return PatchJob(self.source, content, self.indices, self.frame)
        # One of other results is in the way no longer.
        folder.remove_store()
        store = create_from_results(folder.path / STORE, content)
        return PatchJob(self.source, store, self.indices, self.frame)


@dataclass(frozen=True, eq=False)
class PatchJob:
    """The figures of the cases at ``indices`` of a run store, whose boxes lie in ``frame``."""

    source: PatchSource
    store: RunStore
    indices: tuple[int, ...]
    frame: FrameChoice

    @property
    def store_path(self) -> Path:
        """The run store."""
        return self.store.path

    @property
    def failures(self) -> list[Failure]:
        """The cases that the results file has, but unusable; what is odd about the chosen ones."""
        rejected, warnings = self.store.rejected, self.store.warnings
        if self.source.request.selection.patients:
            rejected = ()
        places = {self.store.cases[index].place for index in self.indices}
        odd = self.frame.warning
        return [
            *([Failure("warning", 0, self.store.attrs.source, None, 0, odd)] if odd else []),
            *(Failure("error", r.place, r.name, None, 0, r.reason) for r in rejected),
            *(
                Failure("warning", w.place, w.name, None, 0, w.reason)
                for w in warnings
                if w.place in places
            ),
        ]

    @cached_property
    def _located(self) -> list[CaseSlices]:
        seen = SeenInputs(self.store.path, self.source.request.trust_inputs)
        return locate(self.store, self.indices, self.source.images, self.source.masks, seen)

    @property
    def masked(self) -> list[int]:
        """The numbers of the cases that have a mask."""
        return [self.store.cases[c.case].place for c in self._located if c.mask is not None]

    def plan(self, finished: Container[str]) -> RenderPlan:
        """What is left to draw, and what is to be measured."""
        request, store = self.source.request, self.store
        located = self._located
        figures = plan_drawing(
            store, located, request.selection, request.sources, request.style, finished
        )
        task = self._task()
        return RenderPlan(
            available=store.cases,
            case_count=len(located),
            figures=figures,
            draw=partial(render_item, task),
            fonts=task.fonts,
            cohort=self._cohort(task) if figures.cases else None,
            statistics=StatisticsPlan(located, partial(measure_item, task))
            if request.statistics and located
            else None,
        )

    def _task(self) -> PatchTask:
        request, store = self.source.request, self.store
        names = (header.name for header in store.cases)
        characters = glyph_atlas.alphabet([*names, *request.style.class_names])
        return PatchTask(
            store_path=store.path.resolve(),
            store_created=store.attrs.created,
            output_dir=request.output_dir.resolve(),
            sources=request.sources,
            style=request.style,
            mode=request.selection.mode,
            characters=characters,
            fonts=fonts.chain(characters, request.style.font),
            check_frames=self.frame.check_cases,
        )

    def _cohort(self, task: PatchTask) -> CohortPlan | None:
        """How the highest heat over all cases of the store is found, where it is asked for."""
        if task.style.scale != "cohort":
            return None
        everything = locate(self.store, range(len(self.store.cases)), self.source.images, None)
        items = work_items.batches(everything, work_items.ITEM_FIGURES)
        return CohortPlan(items, partial(peak_item, task), partial(_cohort_draw, task))


def _cohort_draw(task: PatchTask, limits: Sequence[Limits]) -> Draw:
    ((_, high),) = limits
    return partial(render_item, replace(task, cohort_high=high))


def _earlier_store(request: RenderRequest, identity: str) -> RunStore | None:
    """The run store that an earlier run made of the same results in the output folder."""
    path = request.output_dir / STORE
    if not path.exists():
        return None
    try:
        store = open_store(path)
        if store.attrs.sha256 == identity:
            return store
        if not request.overwrite:
            raise InputError(
                f"{path} was made from another results file than {request.results}; give another "
                f"--output-dir, or --overwrite to replace it"
            )
    except InputError:
        if not request.overwrite:
            raise
    return None
