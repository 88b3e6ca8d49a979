"""The boxes of a detector on a picture, and in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.figures.contours import CONTOUR_COLORS

# Of the picture's shorter side: thinner lines are lost where figures show large pictures smaller.
_WIDTH = 1 / 250


def with_boxes(
    picture: NDArray[np.uint8],
    boxes: NDArray[np.float32],
    size: Sequence[int],
    turn: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
) -> NDArray[np.uint8]:
    """``picture`` (h, w, 1 or 3), grey or RGB, with a line around each of ``boxes``: (h, w, 3)
    uint8.

    ``boxes`` (t, 6): x1, y1, x2, y2, label, score, in pixels of an image of ``size`` (h, w) that
    lies over the whole picture; none is drawn where the label is below 0. Where lines cross, that
    of the earlier box is in front. Parts outside of the picture are drawn at its edge. ``turn``:
    how the picture was flipped and transposed before.
    """
    if turn is not None:
        boxes, size = _turned(boxes, (size[-2], size[-1]), turn)
    height, width = picture.shape[:2]
    canvas = np.ascontiguousarray(np.broadcast_to(picture, (height, width, 3))).copy()
    line = max(1, round(min(height, width) * _WIDTH))
    # The last first: of targets that chose the same box its line has the first one's color.
    for number, (*corners, label, _) in reversed([*enumerate(boxes.tolist())]):
        if label < 0:
            continue
        left, right = (_pixel(x, width, size[-1]) for x in (corners[0], corners[2]))
        top, bottom = (_pixel(y, height, size[-2]) for y in (corners[1], corners[3]))
        color = CONTOUR_COLORS[number % len(CONTOUR_COLORS)]
        canvas[top : bottom + 1, left : left + line] = color
        canvas[top : bottom + 1, max(right + 1 - line, 0) : right + 1] = color
        canvas[top : top + line, left : right + 1] = color
        canvas[max(bottom + 1 - line, 0) : bottom + 1, left : right + 1] = color
    return canvas


def box_text(box: NDArray[np.float32], class_text: Callable[[int], str] = str) -> str:
    """What the box (6,) is, in words; ``class_text`` gives the text of a class."""
    label, score = int(box[4]), float(box[5])
    return "no such box" if label < 0 else f"box of {class_text(label)}, score {score:.3f}"


def _turned(
    boxes: NDArray[np.float32],
    size: tuple[int, int],
    turn: Callable[[NDArray[Any]], NDArray[Any]],
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Boxes and size of the image after ``turn``."""
    probe = turn(np.array([[0, 1], [2, 3]]))
    height, width = size
    turned = boxes.copy()
    if abs(int(probe[0, 1]) - int(probe[0, 0])) == 2:
        turned[:, :4] = boxes[:, [1, 0, 3, 2]]
        height, width = width, height
    if probe[0, 1] < probe[0, 0]:
        turned[:, [0, 2]] = width - turned[:, [2, 0]]
    if probe[1, 0] < probe[0, 0]:
        turned[:, [1, 3]] = height - turned[:, [3, 1]]
    return turned, (height, width)


def _pixel(position: float, side: int, extent: int) -> int:
    """The pixel of ``side`` in which a position in an image of ``extent`` pixels lies."""
    return int(np.clip(np.floor(position * side / extent), 0, side - 1))
