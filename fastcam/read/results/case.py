"""One case of a results file: what was predicted, and the attention weight of every patch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class CasePrediction:
    """What was predicted for a patient or sample.

    - ``place``: 1-based position in the results file. It numbers the output files whatever filter
      is in use.
    - ``name``: the patient's name, unique within the file
    - ``true_label``: None where nobody knows it, as of cases that came from ``fastcam infer``
      without a table
    - ``predicted_label``: the class with the highest probability
    - ``correct``: whether the prediction is right; None where the true label is not known
    - ``confidence``: 0 to 1, as the results file states it
    - ``probabilities``: of class 0, 1, ..., each 0 to 1
    """

    place: int
    name: str
    true_label: int | None
    predicted_label: int
    correct: bool | None
    confidence: float
    probabilities: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Patches:
    """Where N patches lie, as in ``Case``.

    - ``boxes`` (N, 4) int32, ``x1, y1, x2, y2`` in pixels, x2 and y2 exclusive
    - ``slices`` (N,) int32, the 0-based slice each patch lies on
    - ``roi`` (N,) int32, connected component the patch was cut from; -1 where not recorded
    - ``mask_ratio`` (N,) float32, share of the box inside the mask, 0 to 1; NaN where not recorded
    """

    boxes: NDArray[np.int32]
    slices: NDArray[np.int32]
    roi: NDArray[np.int32]
    mask_ratio: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Case(CasePrediction):
    """A patient or sample with its patches.

    Per-patch arrays share their first axis, N patches in the file's order:

    - ``weights`` (N,) float32, attention over all patches of the case, finite and >= 0
    - ``boxes`` (N, 4) int32, ``x1, y1, x2, y2`` in pixels of the frame, x2 and y2 exclusive
    - ``slices`` (N,) int32, the 0-based slice each patch lies on
    - ``roi`` (N,) int32, connected component the patch was cut from; -1 where not recorded
    - ``mask_ratio`` (N,) float32, share of the box inside the mask, 0 to 1; NaN where not recorded
    """

    weights: NDArray[np.float32]
    boxes: NDArray[np.int32]
    slices: NDArray[np.int32]
    roi: NDArray[np.int32]
    mask_ratio: NDArray[np.float32]

    @cached_property
    def lowest_weight(self) -> float:
        """The lowest weight; 0 without patches."""
        return float(self.weights.min()) if self.weights.size else 0.0

    @cached_property
    def highest_weight(self) -> float:
        """The highest weight; 0 without patches."""
        return float(self.weights.max(initial=0.0))

    @cached_property
    def mean_weight(self) -> float:
        """The mean of the weights, summed in float64; 0 without patches."""
        return float(self.weights.mean(dtype=np.float64)) if self.weights.size else 0.0

    @cached_property
    def slice_averages(self) -> dict[int, float]:
        """Slice index -> mean weight of its patches, ascending by index."""
        indices, inverse = np.unique(self.slices, return_inverse=True)
        sums = np.bincount(inverse, weights=self.weights.astype(np.float64))
        counts = np.bincount(inverse)
        return dict(zip(indices.tolist(), (sums / counts).tolist(), strict=True))

    @cached_property
    def members(self) -> dict[int, NDArray[np.intp]]:
        """Slice index -> which patches lie on it, in the file's order; ascending by index."""
        order = np.argsort(self.slices, kind="stable")
        indices, starts = np.unique(self.slices[order], return_index=True)
        return dict(zip(indices.tolist(), np.split(order, starts[1:]), strict=True))

    @cached_property
    def best_slice(self) -> int:
        """The slice that holds the single highest weight of the case; ties: the lowest index."""
        return int(self.slices[self.weights == self.weights.max()].min())
