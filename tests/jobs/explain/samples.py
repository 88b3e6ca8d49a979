"""Explanations made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcam.jobs.explain.comparison import Explanation
from fastcam.jobs.explain.results import ClassReconstruction, MapFacts, Reconstruction

RNG = np.random.default_rng(8)
COARSE = RNG.integers(0, 256, (2, 3, 4, 3), dtype=np.uint8)
# Smooth, and as large as the panels of the tests: a panel then shows the picture's own pixels.
PICTURES = [np.kron(image, np.ones((12, 12, 1), np.uint8)) for image in COARSE]
SIDE = 48


def explanation(
    maps: dict[str, tuple[MapFacts, Any]],
    targets: Any = None,
    reconstruction: Reconstruction | None = None,
    **more: Any,
) -> Explanation:
    """Of two images; ``maps``: name to its facts and arrays (2, ...)."""
    return Explanation(
        maps={name: np.asarray(values, np.float32) for name, (_, values) in maps.items()},
        prediction=np.array([1, 0]),
        probability=np.array([[0.25, 0.75], [0.5, 0.5]], np.float32),
        output=np.zeros((2, 2), np.float32),
        targets=targets,
        names=("first", "second"),
        images=list(PICTURES),  # some tests put others in their place
        facts={name: fact for name, (fact, _) in maps.items()},
        reconstruction=reconstruction,
        **more,
    )


def cam(layer: str, scale: float = 1.0, method: str = "gradcam") -> tuple[MapFacts, Any]:
    values = scale * RNG.random((2, 3, 4), np.float32)
    return MapFacts(method, layer), values


def attention(
    layers: tuple[str, ...], explicit: bool = True, method: str = "attention", note: str = ""
) -> tuple[MapFacts, Any]:
    fact = MapFacts(method, "", layers, explicit, note)
    return fact, RNG.random((2, len(layers), 3, 6, 8), np.float32)


def reconstruction(shots: int = 1, signed: bool = True, places: Any = None) -> Reconstruction:
    classes = {}
    for at, name in enumerate(("benign", "malignant")):
        received = RNG.random((2, shots, 3, 4), np.float32) - (0.5 if signed else 0)
        error = (at + 1) * RNG.random((2, 3, 4), np.float32)
        pictures = [RNG.integers(0, 256, (36, 48, 3), dtype=np.uint8) for _ in range(shots)]
        names = tuple(f"{name}{place}.png" for place in range(shots))
        classes[name] = ClassReconstruction(received, error, signed, pictures, names)
    share = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    return Reconstruction(classes, share, True, places)
