"""The outlines of predicted classes on a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CONTOUR_COLORS = ((0, 255, 0), (255, 220, 0), (0, 220, 255), (255, 0, 255))


def outlined(
    picture: NDArray[np.uint8], labels: NDArray[np.integer], classes: Sequence[int]
) -> NDArray[np.uint8]:
    """``picture`` (h, w, 1 or 3), grey or RGB, with a line around the pixels of each of
    ``classes``: (h, w, 3) uint8.

    ``labels`` (H, W) lie over the whole picture, the nearest one counts. The line is on the pixels
    of the class that touch others; a class at the picture's edge is open there.
    """
    height, width = picture.shape[:2]
    rows = np.minimum((np.arange(height) + 0.5) * labels.shape[0] // height, labels.shape[0] - 1)
    columns = np.minimum((np.arange(width) + 0.5) * labels.shape[1] // width, labels.shape[1] - 1)
    large = labels[rows.astype(np.intp)[:, None], columns.astype(np.intp)[None]]
    canvas = np.ascontiguousarray(np.broadcast_to(picture, (height, width, 3))).copy()
    for number, label in enumerate(dict.fromkeys(classes)):
        canvas[_edge(large == label)] = CONTOUR_COLORS[number % len(CONTOUR_COLORS)]
    return canvas


def _edge(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels inside that have one outside above, below, left or right of them."""
    padded = np.pad(inside, 1, mode="edge")
    around = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    edge: NDArray[np.bool_] = inside & ~around
    return edge
