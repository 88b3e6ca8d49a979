"""From the store's rows and the workers' numbers to one typed result for each image."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastcam.jobs.analyze.file_names import class_folder, explained, output_name
from fastcam.jobs.analyze.item import AnalysisJob, Measured, figure_paths, right
from fastcam.jobs.analyze.results import ActivationStatistics, ImageResult, LayerResult


def image_results(
    job: AnalysisJob, measured: Sequence[Measured], there: Container[str]
) -> tuple[ImageResult, ...]:
    """A result for each measured image, in the run's order; ``there`` are the figures that are on
    the disk, relative to the output folder."""
    return tuple(_result(job, one, there) for one in measured)


def _result(job: AnalysisJob, one: Measured, there: Container[str]) -> ImageResult:
    header = job.store.headers[one.image]
    paths = [path if path in there else "" for path in figure_paths(job, one.image)]
    count = len(job.layers)
    layers = {
        layer: LayerResult(one.layers[layer], activations, paths[2 * at], paths[2 * at + 1])
        for at, (layer, activations) in enumerate(
            zip(job.layers, activation_statistics(header.measures, count), strict=True)
        )
    }
    found = ImageResult(
        id=header.id,
        source=header.source,
        size=(header.shape[1], header.shape[2]),
        class_folder=class_folder(header),
        predicted=header.prediction,
        predicted_name=output_name(job.classes, header.prediction),
        confidence=header.confidence if math.isfinite(header.confidence) else None,
        right=right(job.classes, header),
        explained=explained(header, job.classes),
        output=tuple(float(value) for value in header.output),
        layers=layers,
        layers_path=paths[2 * count],
        models_path=paths[2 * count + 1] if len(paths) > 2 * count + 1 else "",
        agreement=one.agreement,
    )
    if job.halves == "no":
        return found
    share = float(header.measures[-1])
    return replace(found, left_share=share, right_share=1.0 - share)


def activation_statistics(
    measures: NDArray[np.float32], layers: int
) -> list[ActivationStatistics | None]:
    """The numbers of each layer, as the engine put them one after the other."""
    width = len(ActivationStatistics.__dataclass_fields__)
    if len(measures) < layers * width:
        return [None] * layers
    rows = measures[: layers * width].reshape(layers, width).astype(float).tolist()
    return [ActivationStatistics(*row) for row in rows]
