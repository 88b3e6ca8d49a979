"""A patch-attention model over one case: a weight for each patch, and the case's probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fastcam.attribution.modules import as_input, device_of, eval_mode
from fastcam.errors import CaseError
from fastcam.models.patch_attention.network import PatchAttention
from fastcam.models.patch_attention.patches import PatchRules, patches_of


@dataclass(frozen=True, eq=False)
class CasePatches:
    """What ``fastcam.read.results.case.Case`` needs of a model's answer; N patches, k classes.

    ``weights`` (N,) float32, softmax over the case; ``boxes`` (N, 4), ``slices`` (N,) and ``roi``
    (N,) int32; ``mask_ratio`` (N,) float32; ``probabilities`` (k,) float64 that sum to 1.
    """

    weights: NDArray[np.float32]
    boxes: NDArray[np.int32]
    slices: NDArray[np.int32]
    roi: NDArray[np.int32]
    mask_ratio: NDArray[np.float32]
    probabilities: NDArray[np.float64]

    @property
    def prediction(self) -> int:
        return int(self.probabilities.argmax())

    @property
    def confidence(self) -> float:
        return float(self.probabilities.max())


def run_case(
    model: PatchAttention,
    voxels: NDArray[Any],
    window: tuple[float, float],
    mask: NDArray[Any],
    rules: PatchRules | None = None,
) -> CasePatches:
    """Cut the patches of a volume (z, y, x) and run the model over them, on its own device.

    ``window`` and ``inside``, (z, y, x) or (1, y, x), are those of ``patches_of``. The model stays
    in its mode. CaseError where the mask doesn't fit or gives no patch, and where the answer isn't
    finite.
    """
    plan, pixels = patches_of(voxels, window, mask, rules)
    device = device_of(model)
    with torch.no_grad(), eval_mode(model):
        logits, weights = model(as_input(model, torch.from_numpy(pixels).to(device)))
    probabilities = torch.softmax(logits[0].double(), dim=0).cpu().numpy()
    patch_weights = weights.float().cpu().numpy()
    if not (np.isfinite(probabilities).all() and np.isfinite(patch_weights).all()):
        raise CaseError(
            "the patch-attention model's answer is not finite (NaN or infinite); check its "
            "weights, and try --precision fp32"
        )
    return CasePatches(
        patch_weights, plan.boxes, plan.slices, plan.roi, plan.mask_ratio, probabilities
    )
