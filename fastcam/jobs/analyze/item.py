"""One work item of an analysis: an image's maps to numbers and figures. Runs inside a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastcam.figures import layout
from fastcam.figures.buffers import Buffers
from fastcam.figures.files import WRITE_BATCH, WriteBatch
from fastcam.figures.map_sheets import Heading
from fastcam.figures.patch_sheets import RenderStyle, render_style_of
from fastcam.figures.sheet import Sheet
from fastcam.jobs.analyze.figures.sheets import (
    Subject,
    heatmap_sheet,
    layers_sheet,
    models_sheet,
    overlay_sheet,
)
from fastcam.jobs.analyze.file_names import Naming, class_folder, explained, naming_of, output_name
from fastcam.jobs.analyze.map_statistics import (
    FeatureStatistics,
    correlation,
    feature_statistics,
    normalised,
)
from fastcam.jobs.render.maps.image import FlatImage, open_image
from fastcam.options import Style
from fastcam.read.inputs.preprocess import field_of
from fastcam.run.records import FigureRecord, Failure, attempt
from fastcam.run.work_items import CaseSlices, WorkItem
from fastcam.store.map_rows import check_done
from fastcam.store.map_schema import MapHeader
from fastcam.store.maps import MapStore

AT_INPUT = "gradient_x_input"


@dataclass(frozen=True)
class AnalysisJob:
    """All that a worker needs besides the item.

    ``stores`` are paths and creation times of one run, or of two to be compared, called ``models``;
    ``maps`` are the names in them of the ``layers``' maps.
    """

    stores: tuple[tuple[Path, str], ...]
    models: tuple[str, ...]
    output_dir: Path
    layers: tuple[str, ...]
    maps: tuple[str, ...]
    classes: tuple[str, ...]
    style: Style
    dpi: float
    characters: str
    fonts: tuple[Path, ...]

    @property
    def store(self) -> MapStore:
        """The first run's store, opened once in each process."""
        return _opened(*self.stores[0])

    @property
    def other(self) -> MapStore | None:
        """The store to compare with."""
        return _opened(*self.stores[1]) if len(self.stores) > 1 else None

    @property
    def naming(self) -> Naming:
        """What files are called; made once in each process, as ten thousand names would travel
        with every task."""
        return _named(*self.stores[0], self.layers, self.classes)

    @property
    def said(self) -> str:
        """What kind of maps they are."""
        method, sign = self.maps[0].partition("/")[0], self.store.attrs.settings.get("sign")
        return f"{method}, evidence against" if sign == "negative" else method

    @property
    def halves(self) -> str:
        """How the model saw the images."""
        return str(self.store.attrs.preprocessing.get("halves", "no"))


@dataclass(frozen=True)
class Measured:
    """The numbers of an image's layers, and how far two models' maps agree."""

    image: int
    layers: dict[str, FeatureStatistics]
    agreement: dict[str, float | None]


@dataclass(frozen=True)
class AnalysisItem:
    """What came of a work item."""

    measured: tuple[Measured, ...]
    drawn: tuple[FigureRecord, ...]
    failures: tuple[Failure, ...]


@lru_cache(maxsize=4)
def _opened(path: Path, created: str) -> MapStore:
    # `created` is there so that a store which was made anew is opened anew.
    return MapStore.open(path)


@lru_cache(maxsize=4)
def _named(path: Path, created: str, layers: tuple[str, ...], classes: tuple[str, ...]) -> Naming:
    return naming_of(_opened(path, created).headers, layers, classes)


_write_buffers = tuple(Buffers() for _ in range(WRITE_BATCH))


def analyse_item(job: AnalysisJob, item: WorkItem) -> AnalysisItem:
    """Measure every image of an item, and draw those of its figures that are wanted.

    Raises :class:`OutputError` when a file can't be written: that ends the job.
    """
    measured: list[Measured] = []
    drawn: list[FigureRecord] = []
    failures: list[Failure] = []
    for portion in item:
        header = job.store.headers[portion.case]
        before = len(drawn)
        reason = attempt(partial(_one, job, portion, measured, drawn))
        if reason:
            left = len(portion.slices) - (len(drawn) - before)
            failures.append(Failure("error", header.place, header.id, None, left, reason))
    return AnalysisItem(tuple(measured), tuple(drawn), tuple(failures))


def figure_paths(job: AnalysisJob, index: int) -> list[str]:
    """The figures of an image, relative to the output folder, by the numbers of its portion: two
    for each layer, then all layers, then the models."""
    naming, paths = job.naming, []
    for at in range(len(job.layers)):
        paths += [naming.heatmap(index, at), naming.overlay(index, at)]
    paths.append(naming.layer_figure(index))
    if _has_second(job, index):
        paths.append(naming.model_figure(index))
    return paths


def right(classes: Sequence[str], header: MapHeader) -> bool | None:
    """Whether the prediction is the class of the image's folder; None where nobody knows."""
    folder = class_folder(header)
    if header.prediction is None or folder not in classes:
        return None
    return output_name(classes, header.prediction) == folder


def _one(
    job: AnalysisJob, portion: CaseSlices, measured: list[Measured], drawn: list[FigureRecord]
) -> None:  # fmt: skip
    index, header = portion.case, job.store.headers[portion.case]
    check_done(header)
    raw = {
        layer: job.store.map(name, index) for layer, name in zip(job.layers, job.maps, strict=True)
    }
    _, height, width = header.shape
    rows, columns = field_of(height, width, job.store.attrs.preprocessing)
    field = (columns.start, rows.start, columns.stop, rows.stop)
    numbers = {
        layer: feature_statistics(cells, field, job.halves) for layer, cells in raw.items()
    }  # fmt: skip
    second = _second(job, index, raw)
    agreement = {
        layer: correlation(normalised(raw[layer]), normalised(cells))
        for layer, cells in second.items()
    }
    measured.append(Measured(index, numbers, agreement))
    if not portion.slices:
        return
    image = open_image(header, None, "", job.store.attrs.preprocessing)
    subject = _subject(job, header, image)
    side = max(layout.enlarged(*image.size, job.style.panel_size))
    single = render_style_of(job.style, job.characters, job.fonts, side)
    beside = render_style_of(job.style, job.characters, job.fonts, job.style.panel_size)
    sheets = _sheets(job, index, subject, raw, second, numbers, agreement, field, single, beside)
    paths = figure_paths(job, index)
    write_batch = WriteBatch(_write_buffers, job.dpi)
    try:
        for number in portion.slices:
            sheet, render_style = sheets[number]()
            path = paths[number]
            record = FigureRecord(path, header.place, header.id, number, False, 0.0, 0.0, 0.0)
            write_batch.put(
                job.output_dir / path, sheet, render_style, "png", partial(drawn.append, record)
            )
    finally:
        write_batch.finish()


def _has_second(job: AnalysisJob, index: int) -> bool:
    """Whether the model to compare with has maps of an image; why not is among the failures."""
    return job.other is not None and job.other.headers[index].status == "done"


def _second(
    job: AnalysisJob, index: int, raw: dict[str, NDArray[np.float32]]
) -> dict[str, NDArray[np.float32]]:
    if job.other is None or not _has_second(job, index):
        return {}
    return {
        layer: job.other.map(name, index) for layer, name in zip(raw, job.maps, strict=True)
    }  # fmt: skip


def _sheets(
    job: AnalysisJob,
    index: int,
    subject: Subject,
    raw: dict[str, NDArray[np.float32]],
    second: dict[str, NDArray[np.float32]],
    numbers: dict[str, FeatureStatistics],
    agreement: dict[str, float | None],
    field: tuple[int, int, int, int],
    single: RenderStyle,
    beside: RenderStyle,
) -> list[Callable[[], tuple[Sheet, RenderStyle]]]:
    """The figures of an image in the order of their numbers, each made when it is wanted."""
    made: list[Callable[[], tuple[Sheet, RenderStyle]]] = []

    def of(make: Callable[..., Sheet], *given: object, render_style: RenderStyle) -> None:
        made.append(lambda: (make(*given, render_style), render_style))

    header = job.store.headers[index]
    alone = replace(subject, heading=heading_of(job.classes, header, job.said, brief=True))
    for layer, cells in raw.items():
        of(heatmap_sheet, alone, layer, cells, render_style=single)
        of(overlay_sheet, subject, layer, cells, render_style=single)
    at_input = job.store.map(AT_INPUT, index) if subject.halves != "no" else None
    of(layers_sheet, subject, raw, numbers, field, at_input, render_style=beside)
    if second:
        both = {layer: (raw[layer], second[layer]) for layer in raw}
        of(models_sheet, subject, _called(job, index), both, agreement, render_style=beside)
    return made


def _called(job: AnalysisJob, index: int) -> tuple[str, str]:
    """The two models, each with the output that its own maps explain."""
    assert job.other is not None
    headers = (job.store.headers[index], job.other.headers[index])
    first, second = (
        f"{name} for {explained(header, job.classes)}"
        for name, header in zip(job.models, headers, strict=True)
    )
    return first, second


def _subject(job: AnalysisJob, header: MapHeader, image: FlatImage) -> Subject:
    share = float(header.measures[-1]) if job.halves != "no" else None
    return Subject(
        heading_of(job.classes, header, job.said), image.picture.image, job.halves, share
    )


def heading_of(
    classes: Sequence[str], header: MapHeader, said: str, brief: bool = False
) -> Heading:
    """The texts above an image's figures; a regression says its values instead of a class.
    ``said`` is what kind of maps they show; ``brief`` is for figures of one panel."""
    judged, parts = right(classes, header), []
    if judged is not None and not brief:
        parts.append("correct" if judged else "wrong")
    folder = class_folder(header)
    if folder in classes:
        parts.append(f"true {folder}")
    if header.prediction is None:
        parts.append("predicted " + ", ".join(f"{value:.4g}" for value in header.output[:4]))
    else:
        parts.append(f"predicted {output_name(classes, header.prediction)}")
        output = explained(header, classes)
        if output != output_name(classes, header.prediction):
            parts.append(f"explained {output}")
    if header.prediction is not None and np.isfinite(header.confidence):
        parts.append(f"{'' if brief else 'confidence '}{header.confidence:.4f}")
    return Heading(f"{header.id}  ·  {said}", "  ·  ".join(parts), judged)
