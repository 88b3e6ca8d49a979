"""What an analysis found, typed; the JSON file holds the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fastcam.jobs.analyze.map_statistics import FeatureStatistics

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class ActivationStatistics:
    """Numbers of a layer's activations (k, h, w) on one image: mean, standard deviation (ddof 0),
    lowest and highest value, share above 0, and how many channels of equal strength would spread
    as they do, (Σ e)² / Σ e² with e the mean square of each channel."""

    mean: float
    std: float
    min: float
    max: float
    positive_share: float
    effective_channels: float


@dataclass(frozen=True, slots=True)
class LayerResult:
    """One layer on one image. The paths are relative to the output folder, "" where not drawn."""

    feature_statistics: FeatureStatistics
    activations: ActivationStatistics | None
    heatmap_path: str = ""
    overlay_path: str = ""


@dataclass(frozen=True, slots=True)
class ImageResult:
    """One image: what the model answered, and what its layers looked at.

    ``class_folder`` is the folder of its class, "" where there is none. ``predicted`` is None for a
    regression, whose values are in ``output``. ``right`` is None where the class is not known.
    ``explained`` is the output that the maps explain. ``left_share``: of
    Σ|gradient × input|, only of models that see halves; ``right_share`` is the rest.
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
