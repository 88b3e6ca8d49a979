"""A made-up test set of three findings an image, each there or not regardless of the others.

A finding is a shape in grey on a noisy ground: a disc, a ring or a cross, at a random place, size
and brightness. Squares that lie about mean nothing. Each finding has a mask of its own, so that its
map can be held against it; of some images the table leaves a finding open, or calls it uncertain.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.demo.limits import check_minimum
from fastcam.run.files import make_folder, write_bytes, write_text

SIDE = 64  # pixels
FINDINGS = ("disc", "ring", "cross")
# What training sees; every other seed is held out.
TRAINING_SEED = 0
IMAGES, MASKS, TABLE = "Images", "Masks", "findings.csv"

# Half the size of a shape in pixels, and how much brighter it is than its ground.
_RADIUS = (5.0, 8.0)
_BRIGHTER = (12.0, 70.0)
# Shapes lie in the cells of a grid, so that none covers another.
_CELLS = 3
# Of so many findings of the table each is empty, and each uncertain.
_OPEN = 20

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class BlobSet:
    """Images with their findings.

    Attributes:
        images: (n, 64, 64, 3) uint8 RGB.
        present: (n, 3) bool, which of FINDINGS an image has.
        masks: (n, 3, 64, 64) bool, the circle around each.
        ids: the pictures' names.
    """

    images: NDArray[np.uint8]
    present: Bools
    masks: Bools
    ids: tuple[str, ...]


def make_blobs(count: int, seed: int, first: int = 0) -> BlobSet:
    """Images ``first`` up to ``first + count`` of the endless row that ``seed`` stands for.

    Image i of a seed is always the same; half of the images have a finding. InputError for a count
    below 1, or a negative seed or first.
    """
    check_minimum(count=(count, 1), seed=(seed, 0), first=(first, 0))
    images = np.empty((count, SIDE, SIDE, 3), np.uint8)
    present = np.empty((count, len(FINDINGS)), np.bool_)
    masks = np.zeros((count, len(FINDINGS), SIDE, SIDE), np.bool_)
    for index in range(count):
        rng = np.random.default_rng([seed, first + index])
        present[index] = rng.random(len(FINDINGS)) < 0.5
        images[index] = _image(rng, present[index], masks[index])
    return BlobSet(images, present, masks, tuple(f"blob_{first + n:05d}" for n in range(count)))


def write_blobs(blobs: BlobSet, folder: Path) -> None:
    """``Images/<id>.png``, ``Masks/<finding>/<id>.png`` and ``findings.csv``, as ``fastcam evaluate
    --task multilabel`` takes them. OutputError where that can't be written."""
    for name in (IMAGES, *(f"{MASKS}/{finding}" for finding in FINDINGS)):
        make_folder(folder / name)
    rows = [",".join(("image", *FINDINGS))]
    for index, name in enumerate(blobs.ids):
        cells = [str(int(value)) for value in blobs.present[index]]
        for number in range(len(cells)):
            place = (index * len(cells) + number) % _OPEN
            cells[number] = {_OPEN - 2: "", _OPEN - 1: "-1"}.get(place, cells[number])
        rows.append(",".join((f"{name}.png", *cells)))
        _write_png(folder / IMAGES / f"{name}.png", blobs.images[index])
        for finding, there, mask in zip(
            FINDINGS, blobs.present[index], blobs.masks[index], strict=True
        ):
            if there:
                pixels = mask.astype(np.uint8) * np.uint8(255)
                _write_png(folder / MASKS / finding / f"{name}.png", pixels)
    write_text(folder / TABLE, "\n".join(rows) + "\n")


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    from PIL import Image

    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "png")
    write_bytes(path, [encoded.getvalue()])


def _image(rng: np.random.Generator, present: Bools, masks: Bools) -> NDArray[np.uint8]:
    """One picture (64, 64, 3) uint8; ``masks`` (3, 64, 64) are filled."""
    ground = rng.uniform(40.0, 110.0) + 12.0 * rng.standard_normal((SIDE, SIDE))
    cells = rng.permutation(_CELLS**2)
    squares = rng.integers(0, 3)
    for number, cell in enumerate(cells[: len(FINDINGS) + squares]):
        kind = FINDINGS[number] if number < len(FINDINGS) else "square"
        if number < len(FINDINGS) and not present[number]:
            continue
        radius = rng.uniform(*_RADIUS)
        center = [
            (place + 0.5) * SIDE / _CELLS + rng.uniform(-2.0, 2.0)
            for place in divmod(int(cell), _CELLS)
        ]
        shape = _shape(kind, center, radius)
        ground[shape] += rng.uniform(*_BRIGHTER)
        if number < len(FINDINGS):
            # Of what it is part, not of its lines alone: what makes a ring is the hole in it, too.
            masks[number] = _shape("disc", center, radius)
    grey = np.clip(np.rint(ground), 0, 255).astype(np.uint8)
    picture: NDArray[np.uint8] = np.repeat(grey[..., None], 3, axis=2)
    return picture


def _shape(kind: str, center: list[float], radius: float) -> Any:
    """(64, 64) bool, where the shape is; pixels are counted by their centers."""
    pixels = np.arange(SIDE) + 0.5
    down, right = (pixels - center[0])[:, None], (pixels - center[1])[None]
    distance = np.hypot(down, right)
    wide, high = np.abs(right), np.abs(down)
    if kind == "disc":
        return distance <= radius
    if kind == "ring":
        return (distance <= radius) & (distance >= 0.55 * radius)
    if kind == "cross":
        return (np.minimum(wide, high) <= 0.25 * radius) & (np.maximum(wide, high) <= radius)
    return np.maximum(wide, high) <= 0.8 * radius
