"""The problem of the Vision Transformer demo: which of six shapes lies somewhere in a cluttered
picture.

What makes it a problem: ground and colors differ from picture to picture, and bars and dots lie
about, most of them in the shape's own color and texture, others in a second color, and large
enough to fill a patch of 8 pixels. Color and texture tell nothing of the class and the covered
area hardly anything; what decides is the outline of one object of 24 to 34 pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from fastcam.demo.limits import check_minimum
from fastcam.errors import InputError

CLASSES = ("disc", "square", "triangle", "cross", "ring", "star")
SIDE = 80  # pixels
# What training sees; every other seed is held out.
TRAINING_SEED = 0

_RADIUS = (12.0, 17.0)  # pixels, of the circle around the shape
_CONTRAST = (30.0, 140.0)  # how much brighter than the ground a form is, in each channel
_TURN = (-0.35, 0.35)  # radians
# Tips of triangles and stars, the furthest there is, in radii.
_FURTHEST = 1.1

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ShapesSet:
    """Pictures with the class and the place of their object.

    Attributes:
        images: (n, 80, 80, 3) uint8 RGB.
        labels: (n,) int64, indices into ``CLASSES``.
        masks: (n, 80, 80) bool, the pixels that are at least half the object's. The hole of a ring,
            which tells it from a disc, is part of the ring.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    masks: Bools


def make_shapes(count: int, seed: int, first: int = 0) -> ShapesSet:
    """Pictures ``first`` up to ``first + count`` of the endless row that ``seed`` stands for.

    Picture i of a seed is always the same, and of class i mod 6. InputError for a count below 1, or
    a negative seed or first.
    """
    check_minimum(count=(count, 1), seed=(seed, 0), first=(first, 0))
    images = np.empty((count, SIDE, SIDE, 3), np.uint8)
    masks = np.empty((count, SIDE, SIDE), np.bool_)
    labels = np.arange(first, first + count, dtype=np.int64) % len(CLASSES)
    for index in range(count):
        rng = np.random.default_rng([seed, first + index])
        images[index], masks[index] = _picture(rng, CLASSES[labels[index]])
    return ShapesSet(images, labels, masks)


def on_object(masks: Bools, grid: tuple[int, int]) -> Bools:
    """Which patches lie on the object: at least a quarter of their pixels are the object's.

    ``masks`` (n, H, W), ``grid`` (h, w) that divides it; (n, h, w) bool.
    """
    n, high, wide = masks.shape
    h, w = grid
    if high % h or wide % w:
        raise InputError(f"a grid of {h}x{w} patches doesn't divide masks of {high}x{wide} pixels")
    cells: NDArray[np.float64] = masks.reshape(n, h, high // h, w, wide // w).mean(axis=(2, 4))
    return cells >= 0.25


def peaks_on_object(maps: NDArray[np.floating], masks: Bools) -> Bools:
    """Whether the highest value (ties: the first) of each map (n, h, w) lies on the object: (n,)"""
    n, h, w = maps.shape
    peaks = maps.reshape(n, -1).argmax(axis=1)
    hits: Bools = on_object(masks, (h, w)).reshape(n, -1)[np.arange(n), peaks]
    return hits


def _picture(rng: np.random.Generator, shape: str) -> tuple[NDArray[np.uint8], Bools]:
    ground = rng.uniform(30.0, 110.0, 3).astype(np.float32)
    own, other = _colour(rng, ground), _colour(rng, ground)
    image = ground + _noise(rng, 5, 14.0) + _noise(rng, 20, 8.0)
    texture = _noise(rng, 20, 16.0)
    count = int(rng.integers(7, 12))
    bars = rng.uniform((0.0, 0.0, 0.0, 1.5, 1.5), (SIDE, SIDE, math.pi, 9.0, 6.0), (count, 5))
    for at, (y, x, angle, half, thick) in enumerate(bars.tolist()):
        color = other if at % 3 == 2 else own
        bar = partial(_bar, half, thick)
        _paint(image, color, texture, bar, center=(y, x), reach=max(half, thick), angle=angle)
    radius = rng.uniform(*_RADIUS)
    reach = radius * _FURTHEST
    y, x = rng.uniform(reach + 1.0, SIDE - reach - 1.0, 2)
    outline = partial(_outline, shape, radius)
    angle = rng.uniform(*_TURN)
    cover = _paint(image, own, texture, outline, center=(y, x), reach=reach, angle=angle)
    image += 6.0 * rng.standard_normal(image.shape, np.float32)
    mask = cover >= 0.5
    if shape == "ring":
        down, right = np.ogrid[0.5:SIDE, 0.5:SIDE]
        mask |= np.hypot(down - y, right - x) < radius
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), mask


def _colour(rng: np.random.Generator, ground: Floats) -> Floats:
    return ground + rng.uniform(*_CONTRAST, 3).astype(np.float32)


def _noise(rng: np.random.Generator, cells: int, amount: float) -> Floats:
    """Smooth noise (80, 80, 3): values on a grid of cells², interpolated linearly."""
    coarse = np.float32(amount) * rng.standard_normal((3, cells, cells), np.float32)
    fine = _between(cells) @ coarse @ _between(cells).T
    return np.ascontiguousarray(np.moveaxis(fine, 0, -1))


@cache
def _between(cells: int) -> Floats:
    """Linear interpolation of ``cells`` values over a side, as a matrix (80, cells)."""
    at = np.linspace(0.0, cells - 1.0, SIDE)
    return np.clip(1.0 - np.abs(at[:, None] - np.arange(cells)), 0.0, 1.0).astype(np.float32)


def _paint(
    image: Floats,
    color: Floats,
    texture: Floats,
    distance: Callable[[Floats, Floats], Floats],
    *,
    center: tuple[float, float],
    reach: float,
    angle: float,
) -> Floats:
    """Lay ``color`` (3,) and ``texture`` (80, 80, 3) over the image where a form is, its edge one
    pixel soft.

    ``distance`` gives for places (u, v), in pixels from the ``center`` (y, x) and turned by
    ``angle``, how far outside the form they are; nothing of it is further away than ``reach``.
    Returns the share of each pixel that is covered (80, 80).
    """
    (y, x), far = center, int(reach) + 2
    rows = slice(max(int(y) - far, 0), min(int(y) + far + 1, SIDE))
    columns = slice(max(int(x) - far, 0), min(int(x) + far + 1, SIDE))
    down = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + np.float32(0.5 - y)
    right = np.arange(columns.start, columns.stop, dtype=np.float32) + np.float32(0.5 - x)
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    outside = distance(cos * right + sin * down, cos * down - sin * right)
    cover = np.zeros((SIDE, SIDE), np.float32)
    cover[rows, columns] = np.clip(0.5 - outside, 0.0, 1.0)
    part = image[rows, columns]
    part += cover[rows, columns, None] * (color + texture[rows, columns] - part)
    return cover


def _bar(half: float, thick: float, u: Floats, v: Floats) -> Floats:
    """A bar with round ends, ``2 * thick`` wide; a dot where it is no longer than that."""
    straight = max(half - thick, 0.0)
    from_axis: Floats = np.hypot(np.maximum(np.abs(u) - np.float32(straight), 0), v)
    return from_axis - np.float32(thick)


def _outline(shape: str, radius: float, u: Floats, v: Floats) -> Floats:
    """Pixels outside one of ``CLASSES``, nearly: exact at the edges, not at the corners."""
    x, y = u / np.float32(radius), v / np.float32(radius)
    across, along = np.abs(x), np.abs(y)
    if shape == "disc":
        outside = np.hypot(x, y) - 0.92
    elif shape == "ring":
        outside = np.abs(np.hypot(x, y) - 0.76) - 0.24
    elif shape == "square":
        outside = np.maximum(across, along) - 0.78
    elif shape == "cross":
        arms = np.maximum(across - 1.0, along - 0.32), np.maximum(along - 1.0, across - 0.32)
        outside = np.minimum(*arms)
    elif shape == "triangle":
        outside = np.maximum(-y, 0.5 * y + 0.866 * across) - 0.55
    else:
        outside = _star(x, y)
    scaled: Floats = (outside * radius).astype(np.float32)
    return scaled


def _star(x: Floats, y: Floats) -> Floats:
    """Five tips at 1.1, five notches at 0.45; the plane is folded onto half a tip."""
    tip, notch, half = 1.1, 0.45, math.pi / 5
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    folded = np.abs((angle + half) % (2 * half) - half)
    # The edge runs from (tip, 0) to the notch; its normal points outwards.
    run = notch * math.cos(half) - tip, notch * math.sin(half)
    length = math.hypot(*run)
    normal = run[1] / length, -run[0] / length
    outside = radius * (np.cos(folded) * normal[0] + np.sin(folded) * normal[1])
    return (outside - np.float32(tip * normal[0])).astype(np.float32)
