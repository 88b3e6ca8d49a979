"""What a render job has to draw: its cases found on disk, less what is finished."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace

from fastcam.errors import CaseError
from fastcam.jobs.render.plan import FigurePlan, unfinished
from fastcam.options import Selection, Sources, Style
from fastcam.read.results.case import Case
from fastcam.read.results.results import Results
from fastcam.read.volumes.frames import parse_slices
from fastcam.read.volumes.sources import SourceIndex
from fastcam.read.volumes.volumes import volume_shape
from fastcam.run import file_names
from fastcam.run.records import Failure
from fastcam.run.seen_inputs import NOTHING_SEEN, SeenFile, SeenInputs
from fastcam.run.work_items import CaseSlices
from fastcam.storage.locations import as_path
from fastcam.store.patches import RunStore


def locate(
    store: RunStore | Results,
    indices: Iterable[int],
    images: SourceIndex,
    masks: SourceIndex | None,
    seen: SeenInputs = NOTHING_SEEN,
) -> list[CaseSlices]:
    """Where each chosen case's volume and mask are, and what was ``seen`` of them; what is missing
    is said in its place."""
    located = []
    for index in indices:
        name = store.cases[index].name
        image, image_missing = _find(images, name)
        mask, mask_missing = _find(masks, name) if masks is not None else (None, "")
        if mask is not None and mask == image:
            mask, mask_missing = None, f"{mask} is the image itself; name masks <patient>_mask"
        files: tuple[SeenFile, ...] = ()
        if image is not None:
            mask_path = None if mask is None else as_path(mask)
            files = seen.files(store.cases[index].place, (as_path(image),), mask_path)
        located.append(
            CaseSlices(index, (), False, image, image_missing, mask, mask_missing, seen=files)
        )
    return located


def _find(index: SourceIndex, name: str) -> tuple[str | None, str]:
    try:
        return str(index.find(name)), ""
    except CaseError as error:
        return None, str(error)


def plan_drawing(
    store: RunStore,
    located: Iterable[CaseSlices],
    selection: Selection,
    sources: Sources,
    style: Style,
    finished: Container[str],
) -> FigurePlan:
    """The figures that are not among the ``finished`` paths, case by case."""

    def plan_of(case_slices: CaseSlices) -> FigurePlan:
        case = store.case(case_slices.case)
        try:
            slices = _slices(case, case_slices, selection, sources)
        except CaseError as error:
            return FigurePlan(failures=(_failure(case, 1, str(error)),))
        paths = {index: _path(case, index, selection, style) for index in slices}
        summary_path = file_names.summary_path(case) if selection.mode == "all_slices" else ""
        left, summary = unfinished(paths, summary_path, finished)
        plan = FigurePlan(planned=len(slices), already=len(slices) - len(left))
        if not (left or summary):
            return plan  # whether its volume is still there is of no interest
        if case_slices.image is None:
            return replace(plan, failures=(_failure(case, len(left), case_slices.image_missing),))
        return replace(plan, cases=(replace(case_slices, slices=left, summary=summary),))

    return FigurePlan.joined(map(plan_of, located))


def _failure(case: Case, figures: int, reason: str) -> Failure:
    return Failure("error", case.place, case.name, None, figures, reason)


def _slices(
    case: Case, case_slices: CaseSlices, selection: Selection, sources: Sources
) -> list[int]:
    if selection.mode == "best_slice":
        return [case.best_slice]
    if not selection.every_slice or case_slices.image is None:
        return list(case.slice_averages)
    depth = volume_shape(as_path(case_slices.image), sources.axes, sources.volume)[0]
    counted = parse_slices(sources.slices).length(depth)
    return sorted({*range(counted), *case.slice_averages})


def _path(case: Case, index: int, selection: Selection, style: Style) -> str:
    if selection.mode == "all_slices":
        return file_names.slice_path(case, index, style.format)
    return file_names.best_slice_path(case, index, style.format)
