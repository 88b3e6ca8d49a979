"""The results of an analysis, typed; the JSON file holds the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fastcam.jobs.analyze.map_statistics import FeatureStatistics


@dataclass(frozen=True, slots=True)
class ActivationStatistics:
    """Numbers of a layer's activations (k, h, w) on one image.

    Attributes:
        mean: their mean.
        std: their standard deviation, ddof 0.
        min: the lowest one.
        max: the highest one.
        positive_share: share of them above 0, 0 to 1.
        effective_channels: how many channels of equal strength would spread as they do, 1 to k:
            (Σ e)² / Σ e², e the mean square of each channel.
    """

    mean: float
    std: float
    min: float
    max: float
    positive_share: float
    effective_channels: float


@dataclass(frozen=True, slots=True)
class LayerResult:
    """One layer on one image.

    Attributes:
        feature_statistics: its map in numbers.
        activations: its activations in numbers; None where the run didn't measure them.
        heatmap_path: the figure of the map, relative to the output folder; empty where not drawn.
        overlay_path: the figure of the map over the image, likewise.
    """

    feature_statistics: FeatureStatistics
    activations: ActivationStatistics | None
    heatmap_path: str = ""
    overlay_path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageResult:
    """One image: the model's prediction, and the maps of its layers in numbers.

    Attributes:
        id: the image's id.
        source: its file.
        size: height and width, in pixels.
        class_folder: the folder of its class; empty where there is none.
        predicted: number of the predicted class, of a detector that of the box that is explained;
            None for a regression.
        predicted_name: its name, or "value".
        confidence: its probability, of a detector the box's score, 0 to 1; None for a regression.
        right: whether it is the class of the folder; None where that is not known.
        explained: the output that the maps explain.
        output: the model's raw output.
        layers: each analyzed layer by its name.
        left_share: the left half's share of Σ|gradient × input|, 0 to 1; None without halves.
        right_share: the right half's share, likewise.
        layers_path: the figure of all layers, relative to the output folder; empty where not drawn.
        models_path: the figure of both models, likewise.
        agreement: by layer, Pearson's correlation of two models' normalized maps; empty without a
            second model.
        box: of a detector the box whose score is explained, x1, y1, x2, y2 in pixels of the image.
        without_box: whether a detector has no such box: its maps say nothing, and are in no mean.
    """

    id: str
    source: Path
    size: tuple[int, int]
    class_folder: str
    predicted: int | None
    predicted_name: str
    confidence: float | None
    right: bool | None
    explained: str
    output: tuple[float, ...]
    layers: Mapping[str, LayerResult]
    left_share: float | None = None
    right_share: float | None = None
    layers_path: str = ""
    models_path: str = ""
    agreement: Mapping[str, float | None] = field(default_factory=dict)
    box: tuple[float, float, float, float] | None = None
    without_box: bool = False
