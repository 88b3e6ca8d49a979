"""What an analysis found, typed; the JSON file holds the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastcam.analysis.mapstatistics import FeatureStatistics
from fastcam.workitem import Trouble

if TYPE_CHECKING:
    from fastcam.analysis.cohort import Cohort


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


@dataclass(frozen=True)
class Analysis:
    """A whole test set. ``cohort`` has the classes; ``files`` all that was written besides the
    images' own figures, relative to ``output_dir``."""

    output_dir: Path
    images: tuple[ImageResult, ...]
    cohort: Cohort
    failures: tuple[Trouble, ...] = ()
    files: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    figures_drawn: int = 0
    figures_there: int = 0

    @property
    def exit_code(self) -> int:
        """0 all done, 1 nothing but failures, 3 finished but some failed."""
        if not any(trouble.level == "error" for trouble in self.failures):
            return 0
        return 3 if self.images else 1


def correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float | None:
    """Pearson's correlation of two maps of one shape; None where one is the same everywhere."""
    a, b = (m.astype(np.float64).ravel() - m.mean(dtype=np.float64) for m in (one, other))
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else None


def mean_of(values: Sequence[float | None]) -> float | None:
    """The mean of those that are known."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
