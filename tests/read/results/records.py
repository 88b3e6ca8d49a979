"""Records of a results file, good and to be spoiled."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from fastcam.read.results.case import Case
from fastcam.read.results.results import Results, read_results


def record(name: str = "A", patches: int = 3, **changes: Any) -> dict[str, Any]:
    """A case as a training script writes it, mixing Python and NumPy numbers."""
    case: dict[str, Any] = {
        "patient_name": name,
        "true_label": 1,
        "predicted_label": np.int64(1),
        "prob_class_0": 0.25,
        "prob_class_1": np.float32(0.75),
        "confidence": 0.75,
        "is_correct": np.bool_(True),
        "num_patches": patches,
        "attention_weights": np.full(patches, 1 / max(patches, 1), np.float32),
        "positions": [
            {
                "bbox": (i, 2, i + 24, np.int64(26)),
                "slice_idx": 5 + i,
                "center_x": i + 12,
                "center_y": 14.0,
                "roi_id": i % 2,
                "mask_ratio": np.float64(0.5),
            }
            for i in range(patches)
        ],
    }
    return {key: value for key, value in (case | changes).items() if value is not ...}


def read(folder: Path, value: object) -> Results:
    path = folder / "results.pkl"
    path.write_bytes(pickle.dumps(value))
    return read_results(path)


def with_position(**changes: Any) -> dict[str, Any]:
    case = record("B")
    position = case["positions"][1] | changes
    case["positions"][1] = {key: value for key, value in position.items() if value is not ...}
    return case


def same(left: Case, right: Case) -> bool:
    return all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f") if isinstance(a, np.ndarray) else a == b
        for a, b in ((vars(left)[key], vars(right)[key]) for key in Case.__dataclass_fields__)
    )
