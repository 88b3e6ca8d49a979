"""``feature_maps/``: the numbers of the layers' activations, by image and by layer."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fastcam.jobs.analyze.file_names import FEATURES
from fastcam.jobs.analyze.results import ActivationStatistics, ImageResult
from fastcam.report.statistics import spread
from fastcam.run.files import write_text

_MEASURES = tuple(ActivationStatistics.__dataclass_fields__)


def write_statistics(
    images: Sequence[ImageResult], layers: Sequence[str], output_dir: Path
) -> list[str]:
    """A CSV file with a row for each image and layer, and a JSON file with the layers' means and
    quartiles; the paths, relative."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["image", "class", "layer", *_MEASURES])
    for image in images:
        for layer in layers:
            found = image.layers[layer].activations
            if found is not None:
                rows.writerow([image.id, image.class_folder or image.predicted_name, layer,
                               *asdict(found).values()])  # fmt: skip
    known = {
        layer: [a for image in images if (a := image.layers[layer].activations) is not None]
        for layer in layers
    }
    summary = {
        layer: {
            name: asdict(spread(np.array([getattr(one, name) for one in found], float)))
            for name in _MEASURES
        }
        for layer, found in known.items()
    }
    paths = {
        f"{FEATURES}/activation_statistics.csv": text.getvalue(),
        f"{FEATURES}/activation_statistics.json": json.dumps(summary, indent=2) + "\n",
    }
    for path, content in paths.items():
        write_text(output_dir / path, content)
    return list(paths)
