"""Patches of a volume for the patch-attention model: planned in integers, then cut out.

Needs no torch: its results are NumPy arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError, InputError
from fastcam.read.results.case import Patches
from fastcam.read.volumes.voxels import windowed


@dataclass(frozen=True, slots=True)
class PatchRules:
    """Which patches are cut.

    - ``size``: side of a patch in pixels
    - ``stride``: distance of the grid's boxes in pixels
    - ``least_inside``: share of a box that must lie inside the component, above 0, at most 1
    - ``most``: largest number of patches of one connected component of one slice's mask
    """

    size: int = 24
    stride: int = 12
    least_inside: float = 0.3
    most: int = 12

    def __post_init__(self) -> None:
        for name in ("size", "stride", "most"):
            if getattr(self, name) < 1:
                raise InputError(f"patch {name} {getattr(self, name)} is too small: at least 1")
        if not 0.0 < self.least_inside <= 1.0:
            raise InputError(f"patch least_inside {self.least_inside} must be above 0, at most 1")


def plan_patches(inside: NDArray[Any], rules: PatchRules | None = None) -> Patches:
    """The patches of a mask (z, y, x), 0 or False outside; possibly none.

    They are ordered by slice, component, row and column. Boxes lie wholly inside the slice; ``roi``
    numbers the components of a slice from 0, in the order of ``scipy.ndimage.label``.

    Components are those of each slice by itself, joined by sides and not by corners. Boxes lie on
    a grid of ``stride`` that has one box centerd on the component's bounding box; those count of
    which at least ``least_inside`` lies inside this component. Where there are more than ``most``,
    those with the largest share are kept; ties go to the upper, then the left one.
    """
    rules = rules or PatchRules()
    parts = [_plan_slice(layer, rules) for layer in inside]
    counts = [len(roi) for _, roi, _ in parts]
    return Patches(
        np.concatenate([np.empty((0, 4), np.int32), *(boxes for boxes, _, _ in parts)]),
        np.repeat(np.arange(len(parts), dtype=np.int32), counts),
        np.concatenate([np.empty(0, np.int32), *(roi for _, roi, _ in parts)]),
        np.concatenate([np.empty(0, np.float32), *(ratio for _, _, ratio in parts)]),
    )


def cut_patches(
    voxels: NDArray[Any], window: tuple[float, float], boxes: NDArray[Any], slices: NDArray[Any]
) -> NDArray[np.float32]:
    """The pixels (N, 1, size, size) float32 of a volume (z, y, x) of any real type.

    ``window`` (low, high) in the voxels' unit becomes 0 to 1 and what is beyond is clipped;
    ``low > high`` shows low values bright, as in ``read.volumes.voxels.Volume``. NaN becomes 0.
    All boxes have one size and lie inside the volume.
    """
    if not len(boxes):
        return np.empty((0, 1, 0, 0), np.float32)
    width, height = (boxes[0, 2:] - boxes[0, :2]).tolist()
    rows = boxes[:, 1, None] + np.arange(height)
    columns = boxes[:, 0, None] + np.arange(width)
    cut = voxels[slices[:, None, None], rows[:, :, None], columns[:, None, :]]
    # float64: the difference of two large levels has few digits left in float32.
    pixels: NDArray[np.float32] = windowed(cut, window, np.float64)[:, None].astype(np.float32)
    return pixels


def patches_of(
    voxels: NDArray[Any],
    window: tuple[float, float],
    inside: NDArray[Any],
    rules: PatchRules | None = None,
) -> tuple[Patches, NDArray[np.float32]]:
    """Plan and pixels of a volume (z, y, x) and its mask, (z, y, x) or (1, y, x) for all slices.

    CaseError where the mask has another shape, and where it gives no patch at all.
    """
    rules = rules or PatchRules()
    if inside.shape[1:] != voxels.shape[1:] or len(inside) not in (1, len(voxels)):
        raise CaseError(
            f"the mask has shape {inside.shape} (z, y, x), but the image {voxels.shape}; "
            "make the mask on the image's own grid"
        )
    plan = plan_patches(np.broadcast_to(inside, voxels.shape), rules)
    if not len(plan.boxes):
        raise CaseError(
            f"the mask {_size_text(inside)} gives no patch: no component of a slice fills "
            f"{rules.least_inside:.0%} of a box of {rules.size} x {rules.size} pixels inside the "
            f"slice of {voxels.shape[2]} x {voxels.shape[1]}"
        )
    return plan, cut_patches(voxels, window, plan.boxes, plan.slices)


def _size_text(inside: NDArray[Any]) -> str:
    count = int(np.count_nonzero(inside))
    return f"of {count} voxels" if count else "is empty and"


def _plan_slice(
    layer: NDArray[Any], rules: PatchRules
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Boxes (n, 4), component numbers (n,) and mask ratios (n,) of one slice (y, x)."""
    # Imported here: it takes 0.1 s, and whoever only loads a model needs none of it.
    from scipy.ndimage import find_objects, label

    components, _ = label(layer)
    area = rules.size**2
    all_boxes, roi = [np.empty((0, 4), np.int32)], [np.empty(0, np.int32)]
    for number, (rows, columns) in enumerate(find_objects(components)):
        tops = _starts(rows.start, rows.stop, layer.shape[0], rules)
        lefts = _starts(columns.start, columns.stop, layer.shape[1], rules)
        boxes = boxes_at(tops, lefts, rules.size)
        counts = box_sums(components == number + 1, boxes)
        best = np.argsort(-counts, kind="stable")[: rules.most]
        selection = np.sort(best[counts[best] >= rules.least_inside * area])
        all_boxes.append(boxes[selection])
        roi.append(np.full(selection.size, number, np.int32))
    boxes = np.concatenate(all_boxes)
    ratio = (box_sums(layer != 0, boxes) / area).astype(np.float32)
    return boxes, np.concatenate(roi), ratio


def _starts(start: int, stop: int, length: int, rules: PatchRules) -> NDArray[np.intp]:
    """Where boxes start along one axis that touch ``start`` to ``stop`` and fit into ``length``."""
    center = (start + stop) // 2 - rules.size // 2
    starts = np.arange(center % rules.stride, length - rules.size + 1, rules.stride)
    touching: NDArray[np.intp] = starts[(starts + rules.size > start) & (starts < stop)]
    return touching


def boxes_at(tops: NDArray[np.intp], lefts: NDArray[np.intp], size: int) -> NDArray[np.int32]:
    top, left = (starts.ravel() for starts in np.meshgrid(tops, lefts, indexing="ij"))
    return np.stack([left, top, left + size, top + size], axis=-1).astype(np.int32)


def box_sums(inside: NDArray[np.bool_], boxes: NDArray[np.int32]) -> NDArray[np.int64]:
    """Pixels inside in each box, from the summed-area table."""
    table = np.zeros((inside.shape[0] + 1, inside.shape[1] + 1), np.int64)
    table[1:, 1:] = inside.cumsum(axis=0, dtype=np.int32).cumsum(axis=1)
    left, top, right, bottom = boxes.T
    sums: NDArray[np.int64] = (
        table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]
    )
    return sums
