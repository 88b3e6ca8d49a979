"""Positions of labels beside the boxes they belong to, without collisions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._arrays import plain
from fastcam_kernels._jit import borrowing_kernel, kernel


@borrowing_kernel
def _collides(
    x: int, y: int, w: int, h: int, gap: int, obstacles: NDArray[np.int32], k: int
) -> bool:
    return bool(
        x < obstacles[k, 2] + gap
        and obstacles[k, 0] < x + w + gap
        and y < obstacles[k, 3] + gap
        and obstacles[k, 1] < y + h + gap
    )


@borrowing_kernel
def _is_free(
    x: int, y: int, w: int, h: int, gap: int, obstacles: NDArray[np.int32], obstacle_count: int
) -> bool:
    free = True
    for k in range(obstacle_count):
        free = free and not _collides(x, y, w, h, gap, obstacles, k)
    return free


@borrowing_kernel
def _covered(x: int, y: int, w: int, h: int, anchors: NDArray[np.int32], own: int) -> int:
    """Pixels of other boxes that a label there would hide (overlapping boxes count twice)."""
    area = 0
    for k in range(anchors.shape[0]):
        if k != own:
            dx = min(x + w, anchors[k, 2]) - max(x, anchors[k, 0])
            dy = min(y + h, anchors[k, 3]) - max(y, anchors[k, 1])
            if dx > 0 and dy > 0:
                area += dx * dy
    return area


@borrowing_kernel
def _slide(
    x: int,
    y: int,
    w: int,
    h: int,
    gap: int,
    step: int,
    last: int,
    obstacles: NDArray[np.int32],
    obstacle_count: int,
) -> int:
    """Nearest free x at height y from x to the right (step 1) or left (-1); -1 if there is none."""
    moved = True
    while moved and 0 <= x <= last:
        moved = False
        for k in range(obstacle_count):
            if _collides(x, y, w, h, gap, obstacles, k):
                x = obstacles[k, 2] + gap if step > 0 else obstacles[k, 0] - gap - w
                moved = True
    return x if 0 <= x <= last else -1


@borrowing_kernel
def _nearest(
    x: int,
    y: int,
    w: int,
    h: int,
    width: int,
    height: int,
    gap: int,
    obstacles: NDArray[np.int32],
    obstacle_count: int,
) -> tuple[int, int]:
    """The free spot nearest to (x, y); (-1, -1) if the panel is full. Ties: above, then right."""
    best, best_x, best_y = width * width + height * height, -1, -1
    for distance in range(height):
        if distance * distance >= best:
            break
        for side in range(2 if distance > 0 else 1):
            row = y - distance if side == 0 else y + distance
            if row < 0 or row > height - h:
                continue
            for step in (1, -1):
                column = _slide(x, row, w, h, gap, step, width - w, obstacles, obstacle_count)
                far = (column - x) * (column - x) + distance * distance
                if column >= 0 and far < best:
                    best, best_x, best_y = far, column, row
    return best_x, best_y


@kernel
def _label_positions(
    anchors: NDArray[np.int32],
    sizes: NDArray[np.int32],
    width: int,
    height: int,
    gap: int,
    out: NDArray[np.int32],
) -> None:
    n = anchors.shape[0]
    # The first box is kept clear like a label of its own, unless it fills much of the panel.
    obstacles = np.empty((n + 1, 4), np.int32)
    obstacle_count = 0
    if n > 1 and (anchors[0, 2] - anchors[0, 0]) * (anchors[0, 3] - anchors[0, 1]) * 4 < (
        width * height
    ):
        obstacles[0] = anchors[0]
        obstacle_count = 1
    clear_count = obstacle_count
    spots = np.empty((8, 2), np.int64)
    full_w, full_h = width + 1, height + 1
    for i in range(n):
        w, h = sizes[i, 0], sizes[i, 1]
        out[i, 0] = out[i, 1] = -1
        # No spot for a label means none for a label as large: that bounds a crowd's cost.
        if w > width or h > height or (w >= full_w and h >= full_h):
            continue
        x1, y1, x2, y2 = anchors[i, 0], anchors[i, 1], anchors[i, 2], anchors[i, 3]
        left = min(max(x1, 0), width - w)
        right = min(max(x2 - w, 0), width - w)
        top = min(max(y1, 0), height - h)
        spots[0, 0], spots[0, 1] = left, y1 - gap - h
        spots[1, 0], spots[1, 1] = right, y1 - gap - h
        spots[2, 0], spots[2, 1] = left, y2 + gap
        spots[3, 0], spots[3, 1] = right, y2 + gap
        spots[4, 0], spots[4, 1] = x2 + gap, top
        spots[5, 0], spots[5, 1] = x1 - gap - w, top
        spots[6, 0], spots[6, 1] = x1 + gap, y1 + gap
        spots[7, 0], spots[7, 1] = x1 + gap, y2 - gap - h
        least = -1
        for s in range(8):
            x, y = spots[s, 0], spots[s, 1]
            if x < 0 or y < 0 or x + w > width or y + h > height:
                continue
            # The first label may lie inside its own box, or right beside it.
            first = clear_count if i == 0 else 0
            if not _is_free(x, y, w, h, gap, obstacles[first:], obstacle_count - first):
                continue
            cost = _covered(x, y, w, h, anchors, i)
            if least < 0 or cost < least:
                least = cost
                out[i, 0], out[i, 1] = x, y
        if least < 0:
            start_y = min(max(y1 - gap - h, 0), height - h)
            x, y = _nearest(left, start_y, w, h, width, height, gap, obstacles, obstacle_count)
            if x < 0 and clear_count:
                others, count = obstacles[1:], obstacle_count - 1
                x, y = _nearest(left, start_y, w, h, width, height, gap, others, count)
            if x < 0:
                full_w, full_h = w, h
                continue
            out[i, 0], out[i, 1] = x, y
        obstacles[obstacle_count, 0], obstacles[obstacle_count, 1] = out[i, 0], out[i, 1]
        obstacles[obstacle_count, 2], obstacles[obstacle_count, 3] = out[i, 0] + w, out[i, 1] + h
        obstacle_count += 1


def label_positions(
    anchors: NDArray[np.int32],
    sizes: NDArray[np.int32],
    panel_width: int,
    panel_height: int,
    gap: int,
) -> NDArray[np.int32]:
    """Top-left corners (n, 2) int32 of n labels, (-1, -1) for a label there is no room for.

    anchors (n, 4) int32: the labeled boxes x1, y1, x2, y2 in panel pixels, in order of
    importance; sizes (n, 2) int32: width and height of each label; gap: pixels to leave between
    a label and its box and between labels. Every label lies inside the panel and no two overlap.
    Tried in turn: above the box, below, right, left, inside; the first that hides no other
    anchor wins, else the one that hides least. When all are taken, the nearest free spot. The first
    box is kept free of other boxes' labels as long as there is room elsewhere.
    """
    out = np.empty((anchors.shape[0], 2), np.int32)
    _label_positions(
        plain(anchors, np.int32), plain(sizes, np.int32), panel_width, panel_height, gap, out
    )
    return out
