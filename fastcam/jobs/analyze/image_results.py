"""One typed result for each image, from the store's rows and the workers' numbers."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence

import numpy as np
from numpy.typing import NDArray

from fastcam.jobs.analyze.display_names import class_folder, explained_output, output_name
from fastcam.jobs.analyze.item import ImageNumbers, figure_paths, is_right
from fastcam.jobs.analyze.results import ActivationStatistics, ImageResult, LayerResult
from fastcam.jobs.analyze.task import AnalysisTask


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
    return ImageResult(
        id=header.id,
        source=header.source,
        size=(header.shape[1], header.shape[2]),
        class_folder=class_folder(header),
        predicted=header.prediction,
        predicted_name=output_name(task.classes, header.prediction),
        confidence=header.confidence if math.isfinite(header.confidence) else None,
        right=is_right(task.classes, header),
        explained=explained_output(header, task.classes),
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
