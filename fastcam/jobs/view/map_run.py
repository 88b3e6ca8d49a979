"""Attention and CAM maps in the reading room, from their store."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from fastcam.errors import CaseError
from fastcam.figures.map_scales import attention_bounds, bounds
from fastcam.jobs.render.gallery_answers import answer_text, label_text
from fastcam.jobs.render.maps.image import (
    OpenImage,
    SliceView,
    open_image,
    open_volume_image,
)
from fastcam.jobs.render.maps.plan import locate_maps, run_sources
from fastcam.jobs.view.map_case import MapViewCase
from fastcam.jobs.view.numbered_maps import head_count, name_of, row_of
from fastcam.jobs.view.opened_case import Limits
from fastcam.jobs.view.run import CaseRow, MapFacts, ViewRun
from fastcam.options import MapChoice, Sources, Style, layer_of_call
from fastcam.read.inputs.target_column import number_in
from fastcam.read.volumes.sources import SourceIndex
from fastcam.run.seen_inputs import SeenInputs, check_seen
from fastcam.store.map_rows import MapCase, MapRow, check_done, choose_rows, method_of
from fastcam.store.map_schema import MapHeader
from fastcam.store.maps import MapStore

# What is behind a number's point in the table.
_DIGITS = 5


class MapRun(ViewRun):
    """A store of maps, with the folders of its images now.

    ``trust_inputs``: whether images changed since the model saw them is not looked at.
    """

    kind: Literal["patches", "maps"] = "maps"

    def __init__(
        self,
        name: str,
        path: Path,
        store: MapStore,
        sources: Sources,
        style: Style | None,
        class_names: tuple[str, ...] = (),
        trust_inputs: bool = False,
    ) -> None:
        self.name, self.path, self.style = name, path, style
        self._class_names = class_names
        self.store = store
        self._seen = SeenInputs(store.path, trust_inputs)
        self._sources = sources = run_sources(store, sources)
        mask_dir = sources.mask_dir
        self._masks = None if mask_dir is None else SourceIndex(mask_dir, mask=True)
        self.rows = _every_row(store)

    @property
    def sources(self) -> Sources:
        """The images and masks, and their geometry."""
        return self._sources

    @cached_property
    def cases(self) -> Sequence[CaseRow]:
        """Every image or volume, in the order of the run."""
        findings = self.store.attrs.settings.get("task") == "multilabel"
        return tuple(_row_of(h, self._class_names, findings) for h in self.store.headers)

    @cached_property
    def maps(self) -> Sequence[MapFacts]:
        """Every map: each layer of attention, and each target, by itself."""
        return tuple(
            MapFacts(
                name=name_of(row, self._output_of(row)),
                heads=head_count(self.store, row),
                note=row.note,
            )
            for row in self.rows
        )

    def _output_of(self, row: MapRow) -> str:
        """The output that a map explains, where it is the same of all images; else empty."""
        number = row.target
        if number is None or row.segment:
            return row.segment
        of_images = [h.targets[number] for h in self.store.headers if number < len(h.targets)]
        outputs = {int(output) for output in of_images} - {-1}
        if len(outputs) != 1:
            return ""
        (output,) = outputs
        named = 0 <= output < len(self._class_names)
        return self._class_names[output] if named else str(output)

    def open(self, index: int) -> MapViewCase:
        """Open an image or volume. CaseError where it can't be read, isn't what the model saw, or
        has no maps."""
        header = self.store.headers[index]
        check_done(header)
        (located,) = locate_maps(self.store, [index], self._masks, self._seen)
        check_seen(located.seen)
        preprocessing = self.store.attrs.preprocessing
        mask, missing = located.mask, located.mask_missing
        image: OpenImage
        if self.store.attrs.dims == 3:
            view = SliceView.of(self.store, index)
            image = open_volume_image(header, mask, missing, self.sources, preprocessing, view)
        else:
            image = open_image(header, mask, missing, preprocessing, self.sources.orient)
        return MapViewCase(self.store, self.sources, self.rows, index, image)

    def cohort_limits(self, number: int, head: int | None, classic: bool) -> Limits:
        """The lowest and highest value of a map over all images that have it; of attention, unless
        ``classic``, as multiples of uniform."""
        row = row_of(self.store, self.rows, number, head)
        low, high = np.inf, -np.inf
        for index in range(len(self.cases)):
            try:
                values = row.read(self.store, index)
            except CaseError:
                continue
            multiples = row.is_attention and not classic
            own = attention_bounds(values) if multiples else bounds(values, row.signed)
            low, high = min(low, own[0]), max(high, own[1])
        return (float(low), float(high)) if low <= high else (0.0, 0.0)


def _every_row(store: MapStore) -> tuple[MapRow, ...]:
    """Every map of a store; of attention each layer, as the mean of its heads."""
    rows = choose_rows(store, MapChoice())
    layers = [layer for name in store.map_names for layer in store.layer_names(name)]
    if not layers:
        return rows
    methods = tuple(dict.fromkeys(method_of(name) for name in store.map_names))
    own = [name.partition("/")[2] for name in store.map_names]
    every = dict.fromkeys([*filter(None, own), *layers, *map(layer_of_call, layers)])
    return choose_rows(store, MapChoice(methods, tuple(every)))


def _row_of(header: MapHeader, names: Sequence[str], findings: bool) -> CaseRow:
    case = MapCase(header)
    label = header.label
    if header.prediction is not None:
        label = label_text(label, names, findings)
    numbers = {
        f"p{number}": round(share, _DIGITS)
        for number, share in enumerate(header.probabilities[:10].tolist())
    }
    if header.prediction is None and len(header.output):
        numbers["output"] = float(header.output[0])
        true = number_in(header.label)
        if true is not None:
            numbers["error"] = abs(true - float(header.output[0]))
    return CaseRow(
        id=header.id,
        group=header.group,
        label=label,
        prediction=str(answer_text(header, names, findings)),
        correct=case.right,
        confidence=header.confidence if np.isfinite(header.confidence) else None,
        numbers=numbers,
        reason=header.reason if header.status == "failed" else "",
    )
