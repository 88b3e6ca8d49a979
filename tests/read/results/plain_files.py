"""Cases written as results files without pickle, as a user's training script may write them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.read.results.case import Case


def write_npz(path: Path, cases: Sequence[Case]) -> None:
    """Write ``cases`` as a results file in ``.npz``."""
    prob = np.full((len(cases), max((len(c.probabilities) for c in cases), default=0)), np.nan)
    for row, case in zip(prob, cases, strict=True):
        row[: len(case.probabilities)] = case.probabilities

    def joined(key: str, dtype: type, *shape: int) -> NDArray[Any]:
        return np.concatenate([np.empty((0, *shape), dtype), *(getattr(c, key) for c in cases)])

    np.savez_compressed(
        path,
        patient_name=np.array([case.name for case in cases], np.str_),
        true_label=np.array([case.true_label for case in cases], np.int64),
        predicted_label=np.array([case.predicted_label for case in cases], np.int64),
        is_correct=np.array([case.correct for case in cases], np.bool_),
        prob=prob,
        confidence=np.array([case.confidence for case in cases], np.float64),
        num_patches=np.array([len(case.weights) for case in cases], np.int64),
        attention_weights=joined("weights", np.float32),
        bbox=joined("boxes", np.int32, 4),
        slice_idx=joined("slices", np.int32),
        roi_id=joined("roi", np.int32),
        mask_ratio=joined("mask_ratio", np.float32),
    )


def write_json(path: Path, cases: Sequence[Case]) -> None:
    """Write ``cases`` as a results file in JSON."""
    text = json.dumps([_as_dict(case) for case in cases], ensure_ascii=False, allow_nan=False)
    path.write_bytes(text.encode())


def _as_dict(case: Case) -> dict[str, object]:
    positions: list[dict[str, object]] = [
        {"bbox": box, "slice_idx": index}
        for box, index in zip(case.boxes.tolist(), case.slices.tolist(), strict=True)
    ]
    for position, roi, ratio in zip(
        positions, case.roi.tolist(), case.mask_ratio.tolist(), strict=True
    ):
        if roi != -1:
            position["roi_id"] = roi
        if ratio == ratio:
            position["mask_ratio"] = ratio
    return {
        "patient_name": case.name,
        "true_label": case.true_label,
        "predicted_label": case.predicted_label,
        "is_correct": case.correct,
        **{f"prob_class_{k}": value for k, value in enumerate(case.probabilities)},
        "confidence": case.confidence,
        "num_patches": len(case.weights),
        "attention_weights": case.weights.tolist(),
        "positions": positions,
    }
