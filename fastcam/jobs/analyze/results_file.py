"""``analysis_results.json``: everything an analysis found, for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastcam._version import __version__
from fastcam.jobs.analyze.report import Analysis
from fastcam.jobs.analyze.results import ImageResult


def results_text(found: Analysis, facts: Mapping[str, Any]) -> str:
    """The file's text. Numbers that don't exist are null; paths are relative to its folder."""
    content = {
        "fastcam": __version__,
        **facts,
        "grouped_by": found.cohort.grouped_by,
        "images": [_image(image) for image in found.images],
        "classes": {one.name: asdict(one) for one in found.cohort.classes},
        "differences": [asdict(one) for one in found.cohort.differences],
        "files": list(found.files),
        "failures": [{"image": t.case, "reason": t.reason} for t in found.failures],
    }
    return json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _image(image: ImageResult) -> dict[str, Any]:
    row = asdict(image)
    row["size"] = {"height": image.size[0], "width": image.size[1]}
    for layer in row["layers"].values():
        if layer["feature_statistics"]["center_of_mass_right"] is None:
            # Only halves have them.
            del layer["feature_statistics"]["center_of_mass_right"]
            del layer["feature_statistics"]["peak_right"]
    for name in ("left_share", "right_share", "models_path", "agreement"):
        if not row[name] and row[name] != 0.0:
            del row[name]
    return row


def _plain(value: Any) -> Any:
    """What JSON can hold: no NaN, no paths, no tuples of them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int | str | None) else str(value)
