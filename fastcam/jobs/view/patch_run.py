"""Patch attention in the reading room: a run store, or a results file as it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from fastcam.errors import CaseError, InputError
from fastcam.jobs.render.patches.case import open_case
from fastcam.jobs.render.patches.frame_choice import FrameChoice, case_evidence, choose_frame
from fastcam.jobs.render.patches.frame_fit import check_fit
from fastcam.jobs.render.patches.measure import case_peak
from fastcam.jobs.render.patches.plan import locate
from fastcam.jobs.view.opened_case import Limits
from fastcam.jobs.view.patch_case import PatchCase
from fastcam.jobs.view.run import CaseRow, MapFacts, ViewRun
from fastcam.options import Sources, Style
from fastcam.read.results.case import Case, CasePrediction
from fastcam.read.results.results import Results
from fastcam.read.volumes import frames
from fastcam.read.volumes.sources import SourceIndex
from fastcam.run.seen_inputs import SeenInputs, check_seen
from fastcam.store.patches import RunStore
from fastcam.store.random_weights import has_random_source

# Cases whose boxes are compared with their masks before the room opens; the others when opened.
_WITNESSES = 2


class PatchRun(ViewRun):
    """Patch attention, from ``content``, with the folders of its images and masks.

    ``trust_inputs``: whether volumes changed since the model saw them is not looked at.
    """

    kind: Literal["patches", "maps"] = "patches"

    def __init__(
        self,
        name: str,
        path: Path,
        content: RunStore | Results,
        sources: Sources,
        style: Style | None,
        class_names: tuple[str, ...] = (),
        trust_inputs: bool = False,
    ) -> None:
        self.name, self.path, self.style = name, path, style
        self._class_text = Style(class_names=class_names).class_text
        self._content = content
        store_path = content.path if isinstance(content, RunStore) else None
        self._seen = SeenInputs(store_path, trust_inputs)
        if sources.root_dir is None:
            raise InputError(
                f"{path} doesn't say where its images are: give --root-dir, the folder with a "
                "volume or folder for each case"
            )
        frames.parse_slices(sources.slices)
        self._images = SourceIndex(sources.root_dir)
        self._masks = None if sources.mask_dir is None else SourceIndex(sources.mask_dir, mask=True)
        # Both remember which folders they have read.
        self._finding = threading.Lock()
        self._frame = self._choose_frame(sources)
        self.notes = tuple(filter(None, (self._frame.note, self._frame.warning)))

    def _choose_frame(self, sources: Sources) -> FrameChoice:
        count = min(_WITNESSES, len(self._content.cases))
        try:
            return choose_frame(self._content, range(count), self._images, self._masks, sources)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error

    @property
    def sources(self) -> Sources:
        """The images and masks, with the frame that is used."""
        return self._frame.sources

    @cached_property
    def cases(self) -> Sequence[CaseRow]:
        """Every case that can be used, in the results' order."""
        return tuple(_row_of(case, self._class_text) for case in self._content.cases)

    @property
    def maps(self) -> Sequence[MapFacts]:
        """The attention, which is all there is."""
        return (MapFacts(name="attention"),)

    def open(self, index: int) -> PatchCase:
        """Open a case. CaseError where its volume can't be read, isn't what the model saw, or
        doesn't fit its patches."""
        case = self._case(index)
        with self._finding:
            (located,) = locate(self._content, [index], self._images, self._masks, self._seen)
        if located.image is None:
            raise CaseError(located.image_missing)
        check_seen(located.seen)
        case_data = open_case(case, located.image, located.mask, located.mask_missing, self.sources)
        if self._frame.check_cases and case_data.mask is not None:
            depth = len(case_data.volume.voxels)
            evidence = case_evidence(case, located, self.sources, case_data.mask, depth)
            warning = "" if evidence is None else check_fit(evidence, self.sources)
            if warning:
                case_data = replace(case_data, warnings=(*case_data.warnings, warning))
        content, turned = self._content, self.sources.orient == "radiological"
        random = isinstance(content, RunStore) and has_random_source(content.attrs.source)
        return PatchCase(case_data, turned, random)

    def cohort_limits(self, number: int, head: int | None, classic: bool) -> Limits:
        """0 and the highest heat of all cases, as of `fastcam render --scale cohort`; no pixel of
        a volume is read for it."""
        highest = 0.0
        for index in range(len(self.cases)):
            case = self._case(index)
            with self._finding:
                (located,) = locate(self._content, [index], self._images, None)
            highest = max(highest, case_peak(case, located.image, self.sources))
        return 0.0, highest

    def _case(self, index: int) -> Case:
        content = self._content
        return content.case(index) if isinstance(content, RunStore) else content.cases[index]


def _row_of(case: CasePrediction, class_text: Callable[[int], str]) -> CaseRow:
    patches = len(case.weights) if isinstance(case, Case) else getattr(case, "patches", 0)
    return CaseRow(
        id=case.name,
        label="" if case.true_label is None else class_text(case.true_label),
        prediction=class_text(case.predicted_label),
        correct=case.correct,
        confidence=case.confidence,
        numbers={
            "patches": patches,
            **{f"p{number}": share for number, share in enumerate(case.probabilities)},
        },
    )
