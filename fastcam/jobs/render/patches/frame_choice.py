"""Before anything is drawn: whether the boxes of a job lie in the frame that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

from fastcam.errors import InputError
from fastcam.jobs.render.patches.frame_fit import (
    FITS,
    Evidence,
    best_fit,
    evidence_of,
    explains,
    fit_of,
    joined,
    options_of,
    unexplained,
)
from fastcam.jobs.render.patches.plan import locate
from fastcam.options import AUTO_FRAME, Axes, Sources
from fastcam.read.results.case import Case
from fastcam.read.results.results import Results
from fastcam.read.volumes.masks import Mask, open_mask
from fastcam.read.volumes.sources import SourceIndex
from fastcam.read.volumes.volumes import volume_grid
from fastcam.run.work_items import CaseSlices
from fastcam.storage.locations import as_path
from fastcam.store.patches import RunStore

# One case that fits is enough to go on: each is looked at again when it is drawn. So many must
# all be off before a whole job is refused, and so many agree on what ``auto`` takes.
_WITNESSES = 4
# Cases without a mask or a mask_ratio are passed over, but not for ever.
_MOST_CASES = 24


@dataclass(frozen=True)
class FrameChoice:
    """The frame of a job.

    Attributes:
        sources: the images and masks with the frame that is used.
        check_cases: whether each case is to be looked at when it is opened, too; not where the
            file's ``mask_ratio`` is known to mean something else than the share inside the mask.
        note: what ``--frame auto`` took.
        warning: what is odd about all cases.
    """

    sources: Sources
    check_cases: bool = True
    note: str = ""
    warning: str = ""


def choose_frame(
    content: RunStore | Results,
    indices: Sequence[int],
    images: SourceIndex,
    masks: SourceIndex | None,
    sources: Sources,
) -> FrameChoice:
    """Look whether the chosen cases' boxes fit the frame of ``sources``; find it, for ``auto``.

    InputError where no case fits and another frame does, and where ``auto`` finds nothing. Without
    masks or ``mask_ratio`` nothing is claimed.
    """
    if masks is None or not indices:
        return FrameChoice(sources)
    located = locate(content, indices[:_MOST_CASES], images, masks)
    witnesses = _evidence(content, located, sources)
    if sources.frame == AUTO_FRAME:
        return _auto_frame(list(islice(witnesses, _WITNESSES)), sources)
    misfits: list[Evidence] = []
    for evidence in witnesses:
        fit = fit_of(evidence, sources)
        if fit is None:
            continue  # patches on slices that aren't there: each case says so when it is opened
        if fit.distance <= FITS:
            return FrameChoice(sources)
        misfits.append(evidence)
        if len(misfits) == _WITNESSES:
            break
    return _misfit_choice(misfits, sources) if misfits else FrameChoice(sources)


def _misfit_choice(evidence: Sequence[Evidence], sources: Sources) -> FrameChoice:
    """What is done where the boxes of all these cases are off."""
    fit = joined(fit_of(case, sources) for case in evidence)
    better = best_fit(evidence, sources)
    if explains(better, fit):
        raise InputError(f"{fit.misfit}; {better.fits}: give that, or --frame auto")
    return FrameChoice(sources, check_cases=False, warning=unexplained(fit))


def _auto_frame(evidence: Sequence[Evidence], sources: Sources) -> FrameChoice:
    if not evidence:
        raise InputError(
            "--frame auto goes by mask_ratio and the masks, and no case has both: give --frame "
            "image or mask-crop:SIZE"
        )
    best = best_fit(evidence, sources)
    if best is None or best.distance > FITS:
        nearest = "" if best is None else f"; at best {best.misfit}"
        raise InputError(
            "--frame auto: no frame that was tried fits the mask_ratio of the patches"
            f"{nearest}; give --frame image or mask-crop:SIZE"
        )
    return FrameChoice(
        best.sources,
        note=f"--frame auto took {options_of(best.sources)}, where the share of mask in a box is "
        f"off its mask_ratio by {best.distance:.2f}",
    )


def _evidence(
    content: RunStore | Results, located: Sequence[CaseSlices], sources: Sources
) -> Iterator[Evidence]:
    """The cases that have patches of known share, and a mask that can be opened."""
    for case_slices in located:
        image, mask = case_slices.image, case_slices.mask
        if image is None or mask is None:
            continue
        index = case_slices.case
        case = content.case(index) if isinstance(content, RunStore) else content.cases[index]
        evidence = evidence_of(case, _mask_opener(as_path(image), as_path(mask), sources))
        if evidence is not None:
            yield evidence


def case_evidence(
    case: Case, case_slices: CaseSlices, sources: Sources, mask: Mask, depth: int
) -> Evidence | None:
    """The evidence of a case whose volume, of ``depth`` slices, and mask are open already."""
    opener = _mask_opener(as_path(str(case_slices.image)), as_path(str(case_slices.mask)), sources)
    return evidence_of(case, lambda axes: (mask, depth) if axes == sources.axes else opener(axes))


def _mask_opener(image: Path, mask: Path, sources: Sources) -> Callable[[Axes], tuple[Mask, int]]:
    """What opens a case's mask for an order of axes, once for each: see :class:`Evidence`."""

    @cache
    def mask_and_depth(axes: Axes) -> tuple[Mask, int]:
        grid = volume_grid(image, axes, sources.volume)
        return open_mask(mask, grid, axes), grid.shape[0]

    return mask_and_depth
