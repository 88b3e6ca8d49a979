"""Asymmetry mode: what a model saw of an image's two halves, put back onto the whole image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from fastcam_kernels import resize
from numpy.typing import NDArray


def in_halves(preprocessing: Mapping[str, Any], name: str) -> str:
    """How the map ``name`` of a run with this preprocessing lies: "no" over the whole image,
    "plain" or "mirror" over each half.

    A model of halves has maps of its layers, ``METHOD/LAYER``, over one half; what has no layer was
    taken at its input, where left and right are apart, and is whole.
    """
    return str(preprocessing.get("halves", "no")) if "/" in name else "no"


def pasted(cells: NDArray[np.float32], height: int, width: int, halves: str) -> NDArray[np.float32]:
    """A map (h, w) of one half on both halves of an image: (height, width) float32.

    Each half is enlarged by itself, bilinearly (``align_corners=False``), so that nothing runs over
    the midline. The right half of "mirror" is turned back to how the image lies.
    """
    plain = np.ascontiguousarray(cells, np.float32)
    turned = np.ascontiguousarray(plain[:, ::-1]) if halves == "mirror" else plain
    # Of an odd width, that of a panel, the right half has one more.
    left = width // 2
    parts = [
        resize.resize(half, height, across, resize.BILINEAR)
        for half, across in ((plain, left), (turned, width - left))
    ]
    return np.concatenate(parts, axis=1)
