"""The demo's learning problem: necks with and without a calcified plaque, and a score for it.

What makes it a problem: contrast and brightness differ from case to case; calcified and dark spots
lie outside the mask; calcified nodes lie inside it, beside the artery. Cases without a plaque have
one more of each on average, so what decides is where the calcium is and how it is shaped: the best
threshold on the number of bright voxels inside the mask, fitted to the test cases themselves, is
right in 73 to 83 % of them (four seeds).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.demo.limits import check_minimum
from fastcam.demo.neck_set import WINDOW, neck_volume, write_nifti
from fastcam.demo.phantom import FIELD_OF_VIEW
from fastcam.errors import InputError
from fastcam.models.patch_attention.patches import patches_of
from fastcam.models.patch_attention.training import LabelledCase
from fastcam.read.volumes.masks import open_mask
from fastcam.read.volumes.volumes import volume_grid
from fastcam.run.files import make_folder, write_text
from fastcam.store.patches import RunStore

_CALCIUM, _DARK = 920.0, 22.0  # HU
_SOFT_TISSUE = (-150.0, 150.0)  # HU

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DemoSet:
    """The training cases in memory, and where the test cases ``<id>.nii.gz`` are.

    Attributes:
        train: the training cases.
        images: folder of the test volumes.
        masks: folder of their masks.
        lesions: folder of the truth: a mask (z, y, x) of the plaque, empty where there is none.
        labels: CSV with the columns ``id``, ``label``, 1 with a plaque, and ``image``.
    """

    train: tuple[LabelledCase, ...]
    images: Path
    masks: Path
    lesions: Path
    labels: Path


@dataclass(frozen=True, slots=True)
class DemoScore:
    """Shares of the test cases, and beside each what a guess would reach.

    Attributes:
        accuracy: predicted right.
        majority: of the commoner label.
        hits: of the cases with a plaque, those whose patch of highest weight touches it, however
            they were predicted.
        chance_hits: of a case's patches, those that touch the plaque, mean over the cases with one.
    """

    accuracy: float
    majority: float
    hits: float
    chance_hits: float


def prepare_demo(
    folder: Path,
    *,
    train_cases: int = 80,
    test_cases: int = 40,
    slices: int = 12,
    size: int = 192,
    seed: int = 0,
) -> DemoSet:
    """Make the training cases, and write ``images``, ``masks``, ``lesions`` and ``labels.csv``.

    Volumes are (slices, size, size) int16 in HU; every other case has a plaque. The same seed
    gives the same cases and files. Raises ``InputError`` and ``OutputError``.
    """
    check_minimum(
        train_cases=(train_cases, 2),
        test_cases=(test_cases, 2),
        slices=(slices, 6),
        size=(size, 128),
    )
    images, masks, lesions = folder / "images", folder / "masks", folder / "lesions"
    for path in (images, masks, lesions):
        make_folder(path)
    train = []
    for index in range(train_cases):
        rng = np.random.default_rng([seed, 0, index])
        voxels, mask, _ = lesion_case(rng, slices, size, index % 2 == 1)
        _, patches = patches_of(voxels, WINDOW, mask)
        train.append(LabelledCase(f"train_{index + 1:03d}", patches, index % 2))
    table = ["id,label,image"]
    for index in range(test_cases):
        rng = np.random.default_rng([seed, 1, index])
        name = f"test_{index + 1:03d}"
        voxels, mask, lesion = lesion_case(rng, slices, size, index % 2 == 1)
        write_nifti(images / f"{name}.nii.gz", voxels)
        write_nifti(masks / f"{name}.nii.gz", mask)
        write_nifti(lesions / f"{name}.nii.gz", lesion)
        table.append(f"{name},{index % 2},{name}.nii.gz")
    write_text(folder / "labels.csv", "\n".join(table) + "\n")
    return DemoSet(tuple(train), images, masks, lesions, folder / "labels.csv")


def lesion_case(
    rng: np.random.Generator, slices: int, size: int, with_plaque: bool
) -> tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.uint8]]:
    """Volume in HU, mask and plaque (0 or 1) of one case, each (slices, size, size)."""
    volume, mask, lesion = neck_volume(rng, slices, size, with_plaque, "calcified")
    voxels = volume.astype(np.float32)
    pixel = FIELD_OF_VIEW / size
    for _ in range(int(rng.integers(2, 5)) + (not with_plaque)):
        z, radius = int(rng.integers(slices)), rng.uniform(1.5, 3.0) / pixel
        distance = _distance(mask[z] == 0)
        soft = (voxels[z] > _SOFT_TISSUE[0]) & (voxels[z] < _SOFT_TISSUE[1])
        free = soft & (distance > radius + 2.0) & (distance < 30.0 / pixel)
        _spot(voxels, rng, z, free, radius, _CALCIUM if rng.random() < 0.5 else _DARK)
    for _ in range(int(rng.integers(0, 3)) + (not with_plaque)):
        z, radius = int(rng.integers(slices)), rng.uniform(1.2, 2.0) / pixel
        depth = _distance(mask[z])
        free = (depth > 0.6 * radius) & (depth < 2.5 / pixel) & ~lesion[z]
        _spot(voxels, rng, z, free, radius, rng.uniform(600.0, _CALCIUM))
    voxels = voxels * np.float32(rng.uniform(0.85, 1.15)) + np.float32(rng.normal(0.0, 15.0))
    return np.clip(voxels, -1024, 2000).astype(np.int16), mask, lesion.astype(np.uint8)


def _distance(inside: NDArray[Any]) -> NDArray[np.float64]:
    """Pixels from each pixel inside to the next one outside."""
    from scipy.ndimage import distance_transform_edt

    distance: NDArray[np.float64] = distance_transform_edt(inside)
    return distance


def _spot(
    voxels: NDArray[np.float32],
    rng: np.random.Generator,
    z: int,
    free: Bools,
    radius: float,
    value: float,
) -> None:
    """Paint a ball of ``value`` over three slices, ``radius`` in pixels, its center where free."""
    rows, columns = np.nonzero(free)
    if not rows.size:
        return
    index = int(rng.integers(rows.size))
    y, x, reach = int(rows[index]), int(columns[index]), int(radius) + 2
    for number in range(max(z - 1, 0), min(z + 2, len(voxels))):
        top, left = max(y - reach, 0), max(x - reach, 0)
        part = voxels[number, top : y + reach + 1, left : x + reach + 1]
        high, wide = part.shape
        away = np.hypot(np.arange(top, top + high)[:, None] - y, np.arange(left, left + wide) - x)
        of_slice = radius if number == z else 0.87 * radius
        cover = np.clip(of_slice - away + 0.5, 0.0, 1.0)
        part += cover * (value - part)


def touching(boxes: NDArray[np.int32], slices: NDArray[np.int32], lesion: NDArray[Any]) -> Bools:
    """Which boxes (N, 4) hold a voxel of the lesion (z, y, x): (N,) bool."""
    hits = [
        bool(np.any(lesion[z, y1:y2, x1:x2]))
        for z, (x1, y1, x2, y2) in zip(slices.tolist(), boxes.tolist(), strict=True)
    ]
    return np.array(hits, np.bool_)


def lesion_hit(
    weights: NDArray[np.float32],
    boxes: NDArray[np.int32],
    slices: NDArray[np.int32],
    lesion: NDArray[Any],
) -> bool:
    """Whether the patch of highest weight (ties: the first) holds a voxel of the lesion."""
    best = int(weights.argmax())
    return bool(touching(boxes[best : best + 1], slices[best : best + 1], lesion)[0])


def score_demo(store: RunStore, demo_set: DemoSet) -> DemoScore:
    """How the cases of a patch-attention store did, against the truth of the demo's set.

    InputError where a case of the store is none of the set's, and where none has a plaque.
    """
    with demo_set.labels.open(encoding="utf-8", newline="") as lines:
        truth = {row["id"]: int(row["label"]) for row in csv.DictReader(lines)}
    right, labels, hits, shares = [], [], [], []
    for index, header in enumerate(store.cases):
        if header.name not in truth:
            raise InputError(f"{store.path}: case {header.name!r} is not in {demo_set.labels}")
        labels.append(truth[header.name])
        right.append(header.predicted_label == labels[-1])
        if labels[-1] == 1:
            case = store.case(index)
            path = demo_set.lesions / f"{header.name}.nii.gz"
            lesion = open_mask(path, volume_grid(path)).inside
            hits.append(lesion_hit(case.weights, case.boxes, case.slices, lesion))
            shares.append(float(touching(case.boxes, case.slices, lesion).mean()))
    if not hits:
        raise InputError(f"{store.path}: holds no case with a plaque, so nothing can be hit")
    majority = float(max(np.bincount(labels))) / len(labels)
    return DemoScore(float(np.mean(right)), majority, float(np.mean(hits)), float(np.mean(shares)))
