"""One typed result for each image, from the store's rows and the workers' numbers."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence

import numpy as np
from numpy.typing import NDArray

from fastcam.jobs.analyze.display_names import (
    class_folder,
    explained_output,
    is_without_box,
    output_name,
    predicted_class,
)
from fastcam.jobs.analyze.item import ImageNumbers, figure_paths, is_right
from fastcam.jobs.analyze.results import ActivationStatistics, ImageResult, LayerResult
from fastcam.jobs.analyze.task import AnalysisTask
from fastcam.jobs.infer.box_targets import image_corners
from fastcam.store.map_schema import MapHeader


def image_results(
    task: AnalysisTask, numbers: Sequence[ImageNumbers], finished: Container[str]
) -> tuple[ImageResult, ...]:
    """A result for each measured image, in the run's order; ``finished`` are the figures that are
    on the disk, relative to the output folder."""
    return tuple(_result(task, entry, finished) for entry in numbers)


def _result(task: AnalysisTask, numbers: ImageNumbers, finished: Container[str]) -> ImageResult:
    header = task.store.headers[numbers.image]
    paths = [path if path in finished else "" for path in figure_paths(task, numbers.image)]
    count = len(task.layers)
    share = float(header.measures[-1]) if task.halves != "no" else None
    predicted, explained = predicted_class(header), explained_output(header, task.classes)
    without_box = is_without_box(header)
    return ImageResult(
        id=header.id,
        source=header.source,
        size=(header.shape[1], header.shape[2]),
        class_folder=class_folder(header),
        predicted=predicted,
        predicted_name=explained if without_box else output_name(task.classes, predicted),
        confidence=_confidence(header),
        right=is_right(task.classes, header),
        explained=explained,
        output=tuple(float(value) for value in header.output),
        layers={
            layer: LayerResult(
                numbers.layers[layer], activations, paths[2 * index], paths[2 * index + 1]
            )
            for index, (layer, activations) in enumerate(
                zip(task.layers, activation_statistics(header.measures, count), strict=True)
            )
        },
        left_share=share,
        right_share=None if share is None else 1.0 - share,
        layers_path=paths[2 * count],
        models_path=paths[2 * count + 1] if len(paths) > 2 * count + 1 else "",
        agreement=numbers.agreement,
        box=None if without_box else _box(task, header),
        without_box=without_box,
    )


def _confidence(header: MapHeader) -> float | None:
    if len(header.boxes):
        return None if is_without_box(header) else float(header.boxes[0, 5])
    return header.confidence if math.isfinite(header.confidence) else None


def _box(task: AnalysisTask, header: MapHeader) -> tuple[float, float, float, float] | None:
    if not len(header.boxes):
        return None
    corners, preprocessing = header.boxes[0, :4].tolist(), task.store.attrs.preprocessing
    return image_corners(corners, header.shape[1:], preprocessing)


def same_predictions(first: Sequence[MapHeader], second: Sequence[MapHeader]) -> int:
    """On how many images two models predict the same class."""
    return sum(
        predicted_class(a) == predicted_class(b)
        for a, b in zip(first, second, strict=True)
        if a.status == b.status == "done" and predicted_class(a) is not None
    )


def activation_statistics(
    measures: NDArray[np.float32], layers: int
) -> list[ActivationStatistics | None]:
    """The numbers of each layer, of ``measures`` (6 · layers), layer by layer.

    None for each where the run made no such measures.
    """
    width = len(ActivationStatistics.__dataclass_fields__)
    if len(measures) < layers * width:
        return [None] * layers
    rows = measures[: layers * width].reshape(layers, width).astype(float).tolist()
    return [ActivationStatistics(*row) for row in rows]
