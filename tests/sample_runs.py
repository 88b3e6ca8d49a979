"""Small cases, volumes and run stores, made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastcam.jobs.render.patches.patch_task import PatchTask
from fastcam.options import Sources, Style
from fastcam.read.results.case import Case
from fastcam.read.results.results import Results
from fastcam.store.patches import RunStore, create_from_results

SHAPE = (6, 40, 48)


def make_case(place: int, name: str, slices, weights=None, boxes=None, **fields: Any) -> Case:
    """Patches of 10 pixels on the diagonal unless ``boxes`` says otherwise; equal weights."""
    count = len(slices)
    if weights is None:
        weights = [1 / count] * count
    if boxes is None:
        boxes = [[2 + i, 2 + i, 12 + i, 12 + i] for i in range(count)]
    usual: dict[str, Any] = {
        "true_label": 1,
        "predicted_label": 1,
        "correct": True,
        "confidence": 0.9,
        "probabilities": (0.1, 0.9),
        "roi": np.zeros(count, np.int32),
        "mask_ratio": np.ones(count, np.float32),
    }
    return Case(
        place=place,
        name=name,
        weights=np.array(weights, np.float32),
        boxes=np.array(boxes, np.int32).reshape(-1, 4),
        slices=np.array(slices, np.int32),
        **{**usual, **fields},
    )


def make_store(folder: Path, *cases: Case, name: str = "run.zarr") -> RunStore:
    return create_from_results(folder / name, Results(Path("r.pkl"), "f" * 64, cases, (), ()))


def make_volumes(folder: Path, *names: str, shape=SHAPE) -> Path:
    """``<name>.npy`` in ``folder / "images"``, each of noise of its own."""
    root = folder / "images"
    root.mkdir(exist_ok=True)
    for seed, name in enumerate(names):
        voxels = np.random.default_rng(seed).integers(0, 999, shape).astype(np.int16)
        np.save(root / f"{name}.npy", voxels)
    return root


def make_job(store: RunStore, folder: Path, mode="best_slice", high=0.0, root="images", **style):
    """A job that writes into ``folder / "out"``."""
    (folder / "out").mkdir(exist_ok=True)
    return PatchTask(
        store_path=store.path,
        store_created=store.attrs.created,
        output_dir=folder / "out",
        sources=Sources(folder / root),
        style=Style(panel_size=32, **style),
        mode=mode,
        characters="",
        fonts=(),
        cohort_high=high,
    )
