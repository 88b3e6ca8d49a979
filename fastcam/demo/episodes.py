"""Synthetic few-shot episodes: pictures of small objects of many kinds, each with its mask.

A kind is a shape in a color. Each picture holds an object of the class it stands for and one of
another kind, on a noisy background. The other kinds are no class of the episode, and those of the
support are none of the queries': the object is all that a query has in common with its support. A
quarter of the kinds never appears in training.
"""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fastcam.read.inputs.preprocessing import MEAN, STD
from fastcam.run.files import make_folder, write_bytes

SIDE = 64
SHAPES = ("disc", "square", "triangle", "cross", "ring", "bar")
# Red, green, blue, yellow, magenta, cyan, orange, white.
COLORS = np.array(
    [
        (0.9, 0.15, 0.15),
        (0.15, 0.75, 0.2),
        (0.2, 0.3, 0.95),
        (0.9, 0.85, 0.15),
        (0.85, 0.2, 0.85),
        (0.15, 0.8, 0.85),
        (0.95, 0.55, 0.1),
        (0.95, 0.95, 0.95),
    ]
)
KINDS = tuple(itertools.product(range(len(SHAPES)), range(len(COLORS))))
HELD_OUT = tuple(kind for kind in KINDS if (kind[0] + kind[1]) % 4 == 3)
TRAINED = tuple(kind for kind in KINDS if kind not in HELD_OUT)


@dataclass(frozen=True, eq=False)
class Pictures:
    """n pictures with two objects each.

    Attributes:
        images: (n, 3, 64, 64) float32, 0 to 1.
        masks: (n, 64, 64) bool, the object of the picture's class.
        others: (n, 64, 64) bool, the other object.
        kinds: (n, 2) int64, the indices of both kinds in ``KINDS``.
    """

    images: NDArray[np.float32]
    masks: NDArray[np.bool_]
    others: NDArray[np.bool_]
    kinds: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Episode:
    """A few-shot task.

    Attributes:
        ways: number of classes.
        shots: support pictures a class.
        support: the support pictures, the first class first.
        query: the query pictures.
        labels: (n,) int64, the classes of the query pictures.
    """

    ways: int
    shots: int
    support: Pictures
    query: Pictures
    labels: NDArray[np.int64]


def draw_episode(
    rng: np.random.Generator,
    kinds: Literal["trained", "held out"],
    ways: int = 5,
    shots: int = 1,
    queries: int = 2,
) -> Episode:
    """One episode with ``queries`` query pictures a class; the same ``rng`` gives the same one."""
    pool = TRAINED if kinds == "trained" else HELD_OUT
    order = rng.permutation(len(pool))
    classes, rest = order[:ways], order[ways:]
    labels = np.repeat(np.arange(ways), queries)

    def pictures(numbers: NDArray[np.int64], others: NDArray[np.int64]) -> Pictures:
        pairs = [(pool[classes[c]], pool[rng.choice(others)]) for c in numbers]
        return _stack([_picture(rng, kind, other) for kind, other in pairs], pairs)

    # No other kind is both in support and query: it would be found there as rightly as the object.
    support = pictures(np.repeat(np.arange(ways), shots), rest[: len(rest) // 2])
    query = pictures(labels, rest[len(rest) // 2 :])
    return Episode(ways, shots, support, query, labels)


def model_input(episode: Episode) -> Tensor:
    """Support, then query pictures, (n, 3, 64, 64) float32, normalized as ``fastcam explain`` does
    where nothing else is said: by ImageNet's mean and deviation."""
    images = torch.from_numpy(np.concatenate([episode.support.images, episode.query.images]))
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (MEAN, STD))
    return (images - mean) / std


def _stack(
    pictures: list[tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]],
    pairs: list[tuple[tuple[int, int], tuple[int, int]]],
) -> Pictures:
    images, masks, others = (np.stack(parts) for parts in zip(*pictures, strict=True))
    indices = [(KINDS.index(kind), KINDS.index(other)) for kind, other in pairs]
    return Pictures(images, masks, others, np.array(indices))


def _picture(
    rng: np.random.Generator, kind: tuple[int, int], other: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    radii = rng.uniform(8.0, 12.0, 2)
    while True:
        centers = rng.uniform(12.0, SIDE - 12.0, (2, 2))
        if np.hypot(*(centers[0] - centers[1])) > radii.sum() + 2.0:
            break
    slope = rng.normal(0.0, 0.15, 3) / SIDE
    y, x = np.mgrid[:SIDE, :SIDE]
    grey = 0.4 + rng.normal(0.0, 0.05) + slope[0] * (y - SIDE / 2) + slope[1] * (x - SIDE / 2)
    image = np.repeat(grey[None], 3, axis=0)
    masks = []
    for (shape, color), center, radius in zip((kind, other), centers, radii, strict=True):
        inside = _shape(SHAPES[shape], (y - center[0]) / radius, (x - center[1]) / radius)
        shade = COLORS[color] * rng.uniform(0.85, 1.0)
        image = np.where(inside[None], shade[:, None, None], image)
        masks.append(inside)
    image = np.clip(image + rng.normal(0.0, 0.06, image.shape), 0.0, 1.0)
    return image.astype(np.float32), masks[0], masks[1]


def _shape(name: str, y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The shape that fills -1 to 1 in (y, x)."""
    radius = np.hypot(y, x)
    ay, ax = np.abs(y), np.abs(x)
    inside = {
        "disc": radius < 1.0,
        "square": np.maximum(ay, ax) < 0.9,
        "triangle": (ay < 0.9) & (ax < (y + 0.9) / 1.8),
        "cross": (np.minimum(ay, ax) < 0.33) & (np.maximum(ay, ax) < 1.0),
        "ring": (radius < 1.0) & (radius > 0.5),
        "bar": (ay < 0.45) & (ax < 1.0),
    }
    return inside[name]


COLOR_NAMES = ("red", "green", "blue", "yellow", "magenta", "cyan", "orange", "white")


def write_episode(folder: Path, episode: Episode) -> list[Path]:
    """Write ``support/<class>/<number>.png`` and ``query/<number>_<class>.png``, where a class is
    called like ``red_disc``; the paths. OutputError where a file can't be written."""
    support, query = episode.support, episode.query
    paths = []
    for index, image in enumerate(support.images):
        path = folder / "support" / kind_name(int(support.kinds[index, 0])) / f"{index + 1}.png"
        paths.append(_write(path, image))
    for index, image in enumerate(query.images):
        name = f"{index + 1:02d}_{kind_name(int(query.kinds[index, 0]))}.png"
        paths.append(_write(folder / "query" / name, image))
    return paths


def kind_name(index: int) -> str:
    """The kind of this index in ``KINDS``, in words.

    >>> kind_name(0)
    'red_disc'
    """
    shape, color = KINDS[index]
    return f"{COLOR_NAMES[color]}_{SHAPES[shape]}"


def _write(path: Path, image: NDArray[np.float32]) -> Path:
    make_folder(path.parent)
    encoded = io.BytesIO()
    pixels = np.rint(np.moveaxis(image, 0, 2) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(encoded, "PNG")
    write_bytes(path, [encoded.getvalue()])
    return path
