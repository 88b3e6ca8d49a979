"""Colour tables, and what blending one with an image comes to per table entry."""

from __future__ import annotations

import base64
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._tables import TABLES

Mode = Literal["flat", "heat", "only"]


def names() -> list[str]:
    """The colour tables there are."""
    return list(TABLES)


@cache
def table(name: str) -> NDArray[np.uint8]:
    """Colour table (256, 3) uint8 RGB, read-only.

    ``jet`` is OpenCV's COLORMAP_JET, the others are matplotlib's of that name, entry by entry.
    ``tests/kernels/make_tables.py`` writes ``_tables.py`` from these two libraries.
    """
    if name not in TABLES:
        raise ValueError(f"colour table {name!r} is unknown; there are {', '.join(TABLES)}")
    colours = np.frombuffer(base64.b64decode(TABLES[name]), np.uint8).reshape(256, 3)
    colours.flags.writeable = False
    return colours


def blend_tables(
    colours: NDArray[np.uint8], alpha: float, mode: Mode
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Image weight (256,) and heat colour (256, 3), float32, for each heat level i.

    ``pixel = image_weight[i] * image + heat_colour[i]``. ``flat``: the heat weighs ``alpha``
    everywhere; ``heat``: ``alpha * i / 255``; ``only``: 1, so the image doesn't show.
    """
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha {alpha} lies outside 0..1")
    if mode == "flat":
        weight = np.full(256, alpha)
    elif mode == "heat":
        weight = alpha * np.arange(256) / 255.0
    elif mode == "only":
        weight = np.ones(256)
    else:
        raise ValueError(f"blend mode {mode!r} is unknown; there are flat, heat and only")
    return (1.0 - weight).astype(np.float32), (weight[:, None] * colours).astype(np.float32)
