"""A made-up test set for ``fastcam evaluate``: faces whose age shows in one place, the forehead.

What makes it a problem: the lines of the forehead get deeper and more with age, and nothing else
in the picture has to do with it. Faces differ in place, size, skin, eyes, mouth and hair; lines as
dark lie in the hair, on the collar and on the wall behind, and marks on the cheeks, all of them
drawn without regard to age. The mask is the forehead, so how well a map lies on it can be
measured.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.demo.limits import check_minimum
from fastcam.run.files import make_folder, write_bytes, write_text

SIDE = 96  # pixels
YOUNGEST, OLDEST = 20.0, 90.0  # years
# What training sees; every other seed is held out.
TRAINING_SEED = 0
IMAGES, MASKS, TABLE = "Images", "Masks", "characteristics.csv"

# How much darker the lines of the youngest and oldest foreheads are than the skin.
_DEPTH = (6.0, 95.0)
_LINES = (2.0, 6.0)  # how many, youngest and oldest

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class AgeSet:
    """Faces with their ages.

    Attributes:
        images: (n, 96, 96, 3) uint8 RGB.
        ages: (n,) float32, years.
        masks: (n, 96, 96) bool, the forehead.
        ids: the pictures' names.
    """

    images: NDArray[np.uint8]
    ages: Floats
    masks: Bools
    ids: tuple[str, ...]


def make_ages(count: int, seed: int, first: int = 0) -> AgeSet:
    """Faces ``first`` up to ``first + count`` of the endless row that ``seed`` stands for.

    Face i of a seed is always the same; ages are spread evenly from 20 to 90. InputError for a
    count below 1, or a negative seed or first.
    """
    check_minimum(count=(count, 1), seed=(seed, 0), first=(first, 0))
    images = np.empty((count, SIDE, SIDE, 3), np.uint8)
    ages = np.empty(count, np.float32)
    masks = np.empty((count, SIDE, SIDE), np.bool_)
    for index in range(count):
        rng = np.random.default_rng([seed, first + index])
        ages[index] = round(float(rng.uniform(YOUNGEST, OLDEST)), 1)
        images[index], masks[index] = _face(rng, float(ages[index]))
    ids = tuple(f"face_{first + index:05d}" for index in range(count))
    return AgeSet(images, ages, masks, ids)


def write_ages(faces: AgeSet, folder: Path) -> None:
    """``Images/<id>.png``, ``Masks/<id>.png`` and ``characteristics.csv`` with the columns
    ``image`` and ``age``, as ``fastcam evaluate`` takes them. OutputError where that can't be
    written."""
    from PIL import Image

    for name in (IMAGES, MASKS):
        make_folder(folder / name)
    rows = ["image,age"]
    for index, name in enumerate(faces.ids):
        rows.append(f"{name}.png,{faces.ages[index]:g}")
        mask = faces.masks[index].astype(np.uint8) * np.uint8(255)
        for kind, pixels in ((IMAGES, faces.images[index]), (MASKS, mask)):
            encoded = io.BytesIO()
            Image.fromarray(pixels).save(encoded, "png")
            write_bytes(folder / kind / f"{name}.png", [encoded.getvalue()])
    write_text(folder / TABLE, "\n".join(rows) + "\n")


def _face(rng: np.random.Generator, age: float) -> tuple[NDArray[np.uint8], Bools]:
    old = (age - YOUNGEST) / (OLDEST - YOUNGEST)
    wall, shirt = (rng.uniform(60.0, 210.0, 3).astype(np.float32) for _ in range(2))
    skin = np.array([222.0, 178.0, 148.0]) * rng.uniform(0.75, 1.05) + rng.uniform(-10.0, 10.0, 3)
    hair = np.array([90.0, 62.0, 40.0]) * rng.uniform(0.4, 2.2)
    image = np.empty((SIDE, SIDE, 3), np.float32)
    image[:] = wall
    _stripes(image, np.float32(1), rng, rng.uniform(0.0, 60.0))
    head = rng.uniform(29.0, 34.0)  # pixels, the unit of all that follows
    y, x = rng.uniform(42.0, 58.0), rng.uniform(33.0, 63.0)
    for down, high, wide, color in ((2.1, 1.1, 1.1, shirt), (-0.15, 1.36, 1.18, hair)):
        covered = _ellipse(image, (y + down * head, x), (high * head, wide * head), color)
        _stripes(image, covered, rng, rng.uniform(0.0, 55.0))
    face = _ellipse(image, (y, x), (1.12 * head, 0.86 * head), skin)
    _features(image, rng, (y, x), head, skin)
    middle = y - 0.57 * head, x
    forehead = _inside(middle, (0.4 * head, 0.64 * head))
    _wrinkles(image, rng, old, forehead=forehead, center=middle, head=head, face=face)
    image += 4.0 * rng.standard_normal(image.shape, np.float32)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), forehead >= 0


def _wrinkles(
    image: Floats,
    rng: np.random.Generator,
    old: float,
    *,
    forehead: Floats,
    center: tuple[float, float],
    head: float,
    face: Floats,
) -> None:
    """The only thing that tells the age: ``old`` is 0 for the youngest, 1 for the oldest."""
    down, right = (axis / np.float32(head) for axis in _from(center))
    bent = down + 0.05 * np.sin(3.0 * right + rng.uniform(0.0, 6.0))
    lines = _LINES[0] + (_LINES[1] - _LINES[0]) * old
    wave = np.maximum(np.cos(bent * np.float32(lines * math.pi / 0.8)), 0) ** 2
    depth = _DEPTH[0] + (_DEPTH[1] - _DEPTH[0]) * old
    cover = np.clip(forehead * np.float32(3), 0, 1) * face
    image -= (cover * wave * np.float32(depth))[..., None]


def _features(
    image: Floats, rng: np.random.Generator, center: tuple[float, float], head: float, skin: Any
) -> None:
    """Eyes, brows, nose, mouth and marks on the cheeks; none of them has to do with the age."""

    def paint(down: float, right: float, high: float, wide: float, color: Any) -> None:
        at = center[0] + down * head, center[1] + right * head
        _ellipse(image, at, (high * head, wide * head), color)

    apart, level, brow = rng.uniform((0.34, 0.1, 0.04), (0.44, 0.2, 0.07)).tolist()
    iris = rng.uniform(20.0, 110.0, 3)
    for side in (-apart, apart):
        paint(level, side, 0.09, 0.17, np.full(3, 240.0))
        paint(level, side, 0.09, 0.09, iris)
        paint(level - 0.18, side, brow, 0.22, skin * 0.45)
    paint(0.4, 0.0, 0.18, 0.09, skin * 0.86)
    lips = np.array([176.0, 84.0, 86.0]) * rng.uniform(0.7, 1.2)
    paint(0.76, 0.0, rng.uniform(0.05, 0.1), rng.uniform(0.2, 0.36), lips)
    for _ in range(int(rng.integers(0, 7))):
        down, side, size = rng.uniform((0.3, -0.5, 0.03), (0.75, 0.5, 0.09)).tolist()
        paint(down, side, size, size, skin * rng.uniform(0.5, 0.9))


def _stripes(
    image: Floats, cover: Floats | np.float32, rng: np.random.Generator, depth: float
) -> None:
    """Dark lines of any direction where ``cover`` is, as wide as those of a forehead."""
    angle, length = rng.uniform(0.0, math.pi), rng.uniform(4.0, 9.0)
    down, right = _from((0.0, 0.0))
    along = np.float32(math.cos(angle)) * right + np.float32(math.sin(angle)) * down
    wave = np.maximum(np.cos(along * np.float32(2 * math.pi / length)), 0) ** 2
    image -= (cover * wave * np.float32(depth))[..., None]


def _ellipse(
    image: Floats, center: tuple[float, float], radii: tuple[float, float], color: Any
) -> Floats:
    """Lay an ellipse of ``color`` (3,) over the image, its edge a pixel soft; ``center`` and
    ``radii`` (y, x) in pixels. Returns the share of each pixel that is covered (96, 96)."""
    # Only the box around it: most of them are a few pixels large.
    box = tuple(
        slice(max(int(at - reach) - 1, 0), max(int(at + reach) + 3, 0))
        for at, reach in zip(center, radii, strict=True)
    )
    inside = _inside(center, radii, box)
    cover = np.zeros((SIDE, SIDE), np.float32)
    cover[box] = np.clip(np.float32(0.5) + inside * np.float32(min(radii)), 0, 1)
    image[box] += cover[box][..., None] * (np.asarray(color, np.float32) - image[box])
    return cover


def _inside(
    center: tuple[float, float],
    radii: tuple[float, float],
    box: tuple[slice, ...] = (slice(None), slice(None)),
) -> Floats:
    """1 in the middle of an ellipse, 0 at its edge, below 0 outside."""
    down, right = _from(center)
    inside: Floats = np.float32(1) - np.hypot(
        down[box[0]] / np.float32(radii[0]), right[:, box[1]] / np.float32(radii[1])
    )
    return inside


def _from(center: tuple[float, float]) -> tuple[Floats, Floats]:
    """Pixels down (96, 1) and to the right (1, 96) from ``center`` (y, x)."""
    pixels = np.arange(SIDE, dtype=np.float32) + np.float32(0.5)
    return (pixels - np.float32(center[0]))[:, None], (pixels - np.float32(center[1]))[None]
