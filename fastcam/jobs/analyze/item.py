"""One work item of an analysis: an image's maps to numbers and figures. Runs inside a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastcam.attribution.request import GRADIENT_X_INPUT
from fastcam.figures.box_outlines import box_text
from fastcam.figures.figure_parts import Sheet
from fastcam.figures.map_figure import Heading
from fastcam.figures.render_style import RenderStyle
from fastcam.figures.slice_facts import SliceFacts
from fastcam.jobs.analyze.display_names import (
    class_folder,
    explained_output,
    output_name,
)
from fastcam.jobs.analyze.figures.sheets import (
    LayerMaps,
    heatmap_sheet,
    layers_sheet,
    models_sheet,
    overlay_sheet,
)
from fastcam.jobs.analyze.figures.subject import Subject, found_boxes
from fastcam.jobs.analyze.map_statistics import (
    FeatureStatistics,
    correlation,
    feature_statistics,
    normalized,
)
from fastcam.jobs.analyze.task import AnalysisTask
from fastcam.jobs.render.worker_loop import CaseFigure, CaseFigures, draw_item
from fastcam.options import PictureFormat, Style
from fastcam.read.inputs.preprocessing import input_slices
from fastcam.run.file_names import NumberedCase
from fastcam.run.input_files import InputRecord
from fastcam.run.records import Failure, FigureRecord
from fastcam.run.work_items import CaseSlices, WorkItem
from fastcam.store.map_rows import MapCase, check_done
from fastcam.store.map_schema import MapHeader


@dataclass(frozen=True)
class ImageNumbers:
    """The numbers of an image.

    Attributes:
        image: the image's 0-based index in the store.
        layers: statistics of each layer's map.
        agreement: by layer, Pearson's correlation of two models' normalized maps; None where one
            has one value everywhere, and empty without a second model.
    """

    image: int
    layers: dict[str, FeatureStatistics]
    agreement: dict[str, float | None]


@dataclass(frozen=True)
class AnalysisItem:
    """What came of a work item: the images' numbers, the files, what failed, and the inputs that
    the files were made of."""

    numbers: tuple[ImageNumbers, ...]
    drawn: tuple[FigureRecord, ...]
    failures: tuple[Failure, ...]
    inputs: tuple[InputRecord, ...]


def analyze_item(task: AnalysisTask, item: WorkItem) -> AnalysisItem:
    """Measure every image of an item, and draw those of its figures that it lists.

    Raises :class:`OutputError` when a file can't be written: that ends the job.
    """
    images = _Images(task)
    result = draw_item(images, item)
    return AnalysisItem(tuple(images.numbers), result.figures, result.failures, result.inputs)


def figure_paths(task: AnalysisTask, index: int) -> list[str]:
    """The figures of an image, relative to the output folder, by their numbers: two for each
    layer, then all layers, then the models."""
    naming, paths = task.naming, []
    for layer in range(len(task.layers)):
        paths += [naming.heatmap(index, layer), naming.overlay(index, layer)]
    paths.append(naming.layer_figure(index))
    if _is_compared(task, index):
        paths.append(naming.model_figure(index))
    return paths


def is_right(classes: Sequence[str], header: MapHeader) -> bool | None:
    """Whether the prediction is the class of the image's folder; None where nobody knows."""
    folder = class_folder(header)
    if header.prediction is None or folder not in classes:
        return None
    return output_name(classes, header.prediction) == folder


@dataclass
class _Images:
    """The images of a store, for :func:`draw_item`; an image is measured when it is opened."""

    task: AnalysisTask
    numbers: list[ImageNumbers] = field(default_factory=list)

    @property
    def output_dir(self) -> Path:
        return self.task.output_dir

    @property
    def format(self) -> PictureFormat:
        return self.task.style.format

    def header(self, case: int) -> NumberedCase:
        return MapCase(self.task.store.headers[case])

    def open(self, case_slices: CaseSlices) -> CaseFigures:
        task, index = self.task, case_slices.case
        header = task.store.headers[index]
        check_done(header)
        maps = _layer_maps(task, index)
        compared = _compared_maps(task, index)
        agreement = {
            layer: correlation(normalized(maps.values[layer]), normalized(values))
            for layer, values in compared.items()
        }
        self.numbers.append(ImageNumbers(index, dict(maps.statistics), agreement))
        if not case_slices.slices:
            return _ImageFigures(header, [], [])
        subject = subject_of(task, index, heading_of(task.classes, header, task.map_kind))
        if subject.halves != "no":
            maps = replace(maps, at_input=task.store.map(GRADIENT_X_INPUT, index))
        single = task.render_style(max(subject.enlarged(task.style)))
        several = task.render_style(task.style.panel_size)
        sheets = _sheets(task, index, subject, maps, single, several)
        if compared:
            pairs = {layer: (maps.values[layer], compared[layer]) for layer in compared}
            captions = _model_captions(task, index)
            both = replace(subject, heading=models_heading(task, index))
            sheets.append((partial(models_sheet, both, captions, pairs, agreement), several))
        return _ImageFigures(header, figure_paths(task, index), sheets)


# Makes a figure's sheet in the style beside it.
_SheetMaker = tuple[Callable[[RenderStyle], Sheet], RenderStyle]


@dataclass
class _ImageFigures(CaseFigures):
    """The figures of an image by their numbers, each made when it is drawn."""

    header: MapHeader
    paths: list[str]
    sheets: list[_SheetMaker]

    def figure(self, index: int) -> CaseFigure:
        make, render_style = self.sheets[index]
        place, name = self.header.place, self.header.id
        record = FigureRecord(path=self.paths[index], place=place, case=name, slice=index)
        return CaseFigure(make(render_style), render_style, record)

    def slice_of(self, index: int) -> int | None:
        return None


def _layer_maps(task: AnalysisTask, index: int) -> LayerMaps:
    names = zip(task.layers, task.maps, strict=True)
    values = {layer: task.store.placed_map(name, index) for layer, name in names}
    inputs = dict(zip(task.layers, map(task.store.input_name, task.maps), strict=True))
    regions = {name: _region(task, index, name) for name in {*inputs.values()}}
    statistics = {
        layer: feature_statistics(of_layer, regions[inputs[layer]], task.halves)
        for layer, of_layer in values.items()
    }
    region = _region(task, index, task.store.main_input)
    return LayerMaps(values=values, statistics=statistics, region=region)


def _region(task: AnalysisTask, index: int, input_name: str) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of what the model saw of an image, in its pixels."""
    size = task.store.size(index, input_name)
    rows, columns = input_slices(*size, task.store.attrs.preprocessing)
    return columns.start, rows.start, columns.stop, rows.stop


def _is_compared(task: AnalysisTask, index: int) -> bool:
    """Whether the model to compare with has maps of an image; why not is among the failures."""
    return task.other is not None and task.other.headers[index].status == "done"


def _compared_maps(task: AnalysisTask, index: int) -> dict[str, NDArray[np.float32]]:
    if task.other is None or not _is_compared(task, index):
        return {}
    names = zip(task.layers, task.maps, strict=True)
    return {layer: task.other.placed_map(name, index) for layer, name in names}


def subject_of(task: AnalysisTask, index: int, heading: Heading) -> Subject:
    """What figures of an image show beside its maps. CaseError where it can't be read."""
    store, header = task.store, task.store.headers[index]
    share = float(header.measures[-1]) if task.halves != "no" else None

    def over(input_name: str) -> Subject:
        picture = store.picture(index, input_name)
        return Subject(
            heading=heading,
            picture=picture.image,
            halves=task.halves,
            left_share=share,
            display=store.display(index, input_name),
            left_side=picture.left_side,
            facts=_shown_facts(picture.facts, task.style),
            name=input_name or picture.name,
            boxes=found_boxes(header.boxes, store.attrs.preprocessing["size"]),
        )

    names = {
        layer: store.input_name(name) for layer, name in zip(task.layers, task.maps, strict=True)
    }
    main = over(store.main_input)
    others = {name: over(name) for name in {*names.values()} - {store.main_input}}
    return replace(
        main, over={layer: others[name] for layer, name in names.items() if name in others}
    )


def _shown_facts(facts: SliceFacts, style: Style) -> SliceFacts:
    """What figures say of a slice; in ``classic`` nothing."""
    return SliceFacts(pixel_aspect=facts.pixel_aspect) if style.classic else facts


def _sheets(
    task: AnalysisTask,
    index: int,
    subject: Subject,
    maps: LayerMaps,
    single: RenderStyle,
    several: RenderStyle,
) -> list[_SheetMaker]:
    """The figures of an image's own maps, in the order of their numbers.

    ``single`` is the style of figures of one map, ``several`` that of all layers.
    """
    header = task.store.headers[index]
    heading = heading_of(task.classes, header, task.map_kind, brief=True)
    sheets: list[_SheetMaker] = []
    for layer, values in maps.values.items():
        over = subject.of(layer)
        brief = replace(over, heading=heading)
        sheets.append((partial(heatmap_sheet, brief, layer, values), single))
        sheets.append((partial(overlay_sheet, over, layer, values), single))
    sheets.append((partial(layers_sheet, subject, maps), several))
    return sheets


def _model_captions(task: AnalysisTask, index: int) -> tuple[str, str]:
    """The two models, each with the output that its own maps explain."""
    assert task.other is not None
    headers = (task.store.headers[index], task.other.headers[index])
    first, second = (
        f"{name} for {explained_output(header, task.classes)}"
        for name, header in zip(task.models, headers, strict=True)
    )
    return first, second


def heading_of(
    classes: Sequence[str], header: MapHeader, map_kind: str, brief: bool = False
) -> Heading:
    """The texts above an image's figures; a regression gives its values instead of a class, a
    detector its box.

    ``map_kind`` is what kind of maps they show; ``brief`` is for figures of one panel.
    """
    right, parts = is_right(classes, header), []
    if right is not None and not brief:
        parts.append("correct" if right else "wrong")
    folder = class_folder(header)
    if folder in classes:
        parts.append(f"true {folder}")
    parts += _answer(classes, header, "" if brief else "confidence ")
    return Heading(f"{header.id}  ·  {map_kind}", "  ·  ".join(parts), right)


def models_heading(task: AnalysisTask, index: int) -> Heading:
    """The texts above an image's figures of two models: what each of them says. Right or wrong is
    the first one where the other one has no maps, and none of both where they disagree."""
    first = task.store.headers[index]
    if task.other is None or not _is_compared(task, index):
        return heading_of(task.classes, first, task.map_kind)
    folder = class_folder(first)
    parts = [f"true {folder}"] if folder in task.classes else []
    rights = []
    for name, header in zip(task.models, (first, task.other.headers[index]), strict=True):
        right = is_right(task.classes, header)
        judged = "" if right is None else ", correct" if right else ", wrong"
        parts.append(f"{name}: {' '.join(_answer(task.classes, header, ''))}{judged}")
        rights.append(right)
    agreed = rights[0] if rights[0] == rights[1] else None
    return Heading(f"{first.id}  ·  {task.map_kind}", "  ·  ".join(parts), agreed)


def _answer(classes: Sequence[str], header: MapHeader, before_confidence: str) -> list[str]:
    """What a model says of an image, and what its maps explain where that is something else."""
    parts = []
    if len(header.boxes):
        parts.append(box_text(header.boxes[0], partial(output_name, classes)))
    elif header.prediction is None:
        parts.append("predicted " + ", ".join(f"{value:.4g}" for value in header.output[:4]))
    else:
        predicted = output_name(classes, header.prediction)
        output = explained_output(header, classes)
        parts.append(f"predicted {predicted}")
        if output != predicted:
            parts.append(f"explained {output}")
    if header.prediction is not None and np.isfinite(header.confidence):
        parts.append(f"{before_confidence}{header.confidence:.4f}")
    return parts
