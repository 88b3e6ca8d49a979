"""A small pass, its figures, and the same heat painted slowly with NumPy."""

from __future__ import annotations

import cv2
import numpy as np

from fastcam.options import Style

from ...figures.expected_pixels import JET, bilinear, nearest
from .passes import pass_of_layers, random_weights, sheet_and_panels

RNG = np.random.default_rng(6)
GRID = (3, 4)
N = 13
PHOTO = cv2.resize(RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8), (96, 72))
# Raw values from the lowest to the highest; multiples of uniform have their own tests.
STYLE = Style(panel_size=128, heat_alpha=0.4, style="classic")
HEIGHT, WIDTH = 96, 128
# One level of heat is at most so much of a colour of JET, and rounding is added to it.
STEP = 5


def vit_of(depth: int = 2, heads: int = 2, **settings):
    return pass_of_layers(
        [random_weights(RNG, 2, heads, N) for _ in range(depth)], GRID, **settings
    )


def painted(cells, low: float, high: float, method: str = "nearest") -> np.ndarray:
    """Heat in colours, (h, w, 3) float."""
    if method == "nearest":
        large = nearest(cells, HEIGHT, WIDTH)
    else:
        how = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}[method]
        large = cv2.resize(cells, (WIDTH, HEIGHT), interpolation=how)
    level = np.floor(255 * (large - low) / (high - low) + 0.5).clip(0, 255).astype(int)
    return JET[level].astype(float)


def photo() -> np.ndarray:
    return np.stack([bilinear(PHOTO[..., c], HEIGHT, WIDTH) for c in range(3)], axis=-1)


def cls_maps(vit, index: int) -> list[np.ndarray]:
    """(heads, rows, columns) for each layer."""
    return [
        layer.attention.values[index, :, 0, 1:].numpy().reshape(-1, *GRID) for layer in vit.layers
    ]


def show(view, vit, **named):
    named = {"interpolation": "nearest", "style": STYLE, **named}
    return sheet_and_panels(view, vit, pictures=[PHOTO[::-1].copy(), PHOTO], index=1, **named)
