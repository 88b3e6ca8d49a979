"""Small stores of maps, made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastcam.read.inputs.inputs import Item
from fastcam.store.map_batch import BatchRows
from fastcam.store.map_schema import MapAttrs
from fastcam.store.maps import MapStore
from fastcam.store.new_maps import create_maps

CAM, LAST = "gradcam/layer4.1", "gradcam/layer4"


def attrs(root: Path, **changes: Any) -> MapAttrs:
    known: dict[str, Any] = {
        "sha256": "ab" * 32,
        "root": str(root),
        "model": "resnet18",
        "checkpoint": "",
        "methods": ("gradcam",),
        "layers": ("layer4.1", "layer4"),
        "preprocessing": {"size": (32, 32), "fit": "crop"},
        "settings": {"sign": "positive"},
        "dims": 2,
    }
    return MapAttrs(**known | changes)


def items(root: Path, count: int) -> list[Item]:
    return [
        Item(
            f"图{i}", "g", root / "g" / f"图{i}.png", root / f"m{i}.png" if i % 2 else None, str(i)
        )
        for i in range(count)
    ]


def new_store(folder: Path, count: int = 5, batch: int = 2, **changes: Any) -> MapStore:
    path = folder / "run.zarr"
    return create_maps(path, attrs(folder, **changes), items(folder, count), batch)


def rows(count: int, seed: int = 0, reasons: tuple[str, ...] = (), **changes: Any) -> BatchRows:
    """``count`` finished rows of noise."""
    rng = np.random.default_rng(seed)
    known: dict[str, Any] = {
        "reasons": reasons or ("",) * count,
        "maps": {
            CAM: rng.random((count, 4, 5), np.float32),
            LAST: rng.random((count, 2, 3), np.float32),
        },
        "output": rng.standard_normal((count, 3)).astype(np.float32),
        "shape": np.tile([1, 40, 50], (count, 1)),
        "prediction": rng.integers(0, 3, count),
        "confidence": rng.random(count, np.float32),
        "probability": rng.random((count, 3), np.float32),
        "target": rng.integers(0, 3, (count, 1)),
    }
    return BatchRows(**known | changes)


def full_store(folder: Path) -> MapStore:
    """Five images in batches of two; the second of the second batch failed."""
    store = new_store(folder)
    store.append(0, rows(2, 0))
    store.append(1, rows(1, 1, ("", "b.png: is damaged")))
    store.append(2, rows(1, 2))
    return store
