"""Bilateral halves: an image cut in the middle for a model of both, and its maps on the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from fastcam_kernels import resize
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.read.inputs.preprocessing import Preprocessing


def cut(
    image: NDArray[Any], preprocessing: Preprocessing
) -> list[tuple[NDArray[Any], Preprocessing]]:
    """The left and the right half of an image (h, w, c), each (h, w / 2, c) with its preprocessing.

    The right one is flipped for "mirror". CaseError where the width is odd.
    """
    width = image.shape[1]
    if width % 2:
        raise CaseError(
            f"the image is {width} pixels wide: an odd width has no middle to cut it at; crop it "
            "or pad it by one column"
        )
    left, right = image[:, : width // 2], image[:, width // 2 :]
    if preprocessing.halves == "mirror":
        right = right[:, ::-1]
    return [(left, _of_half(preprocessing, 0)), (right, _of_half(preprocessing, 1))]


def _of_half(preprocessing: Preprocessing, side: int) -> Preprocessing:
    """The preprocessing of the left (0) or right (1) half."""
    count = preprocessing.channels // 2
    part = slice(side * count, (side + 1) * count)
    mean, std = preprocessing.mean[part], preprocessing.std[part]
    return replace(preprocessing, channels=count, mean=mean, std=std, halves="no")


def halves_of_map(preprocessing: Mapping[str, Any], name: str) -> str:
    """How the map ``name`` of a run lies: "no" over the whole image, "plain" or "mirror" over each
    half. ``preprocessing``: the fields of a ``Preprocessing``, as a store has them.

    A model of halves has maps of its layers, ``METHOD/LAYER``, over one half; what has no layer was
    taken at its input, where left and right are apart, and is whole.
    """
    return str(preprocessing.get("halves", "no")) if "/" in name else "no"


def whole_image_map(
    values: NDArray[np.float32], height: int, width: int, halves: str
) -> NDArray[np.float32]:
    """A map (h, w) of one half on both halves of an image: (height, width) float32.

    Each half is enlarged by itself, bilinearly (``align_corners=False``), so that nothing runs over
    the midline. The right half of "mirror" is flipped back to how the image lies.
    """
    plain = np.ascontiguousarray(values, np.float32)
    flipped = np.ascontiguousarray(plain[:, ::-1]) if halves == "mirror" else plain
    # Of an odd width, that of a panel, the right half has one more.
    left = width // 2
    parts = [
        resize.resize(half, height, across, resize.BILINEAR)
        for half, across in ((plain, left), (flipped, width - left))
    ]
    return np.concatenate(parts, axis=1)
