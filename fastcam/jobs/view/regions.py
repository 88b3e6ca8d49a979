"""Regions that readers draw: from shares of the picture to pixels of the slice, as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastcam.errors import InputError
from fastcam.jobs.view.planes import Plane
from fastcam.read.volumes.slice_axis import slices_first

_MOST_POINTS = 4000


def region_text(region: Mapping[str, Any] | None, plane: Plane) -> str:
    """``box x1,y1 x2,y2`` or ``lasso x,y x,y ...``: pixels of the slice as its file has it, ends of
    a box exclusive. Empty for no region; InputError for what is none."""
    if region is None:
        return ""
    kind, points = region.get("kind"), region.get("points")
    if kind not in ("box", "lasso") or not isinstance(points, Sequence):
        raise InputError(f"region {kind!r:.40}: is neither box nor lasso")
    fewest = 2 if kind == "box" else 3
    if not fewest <= len(points) <= _MOST_POINTS:
        raise InputError(f"region of {len(points)} points: give {fewest} to {_MOST_POINTS}")
    pixels = [_pixel(point, plane) for point in points]
    if kind == "box":
        (x1, y1), (x2, y2) = pixels[0], pixels[-1]
        left, right, top, bottom = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
        return f"box {left},{top} {right + 1},{bottom + 1}"
    return "lasso " + " ".join(f"{x},{y}" for x, y in pixels)


def _pixel(point: Any, plane: Plane) -> tuple[int, int]:
    """Column and row of the slice, before it is turned, at shares of the picture."""
    try:
        across, down = map(float, point)
    except (TypeError, ValueError) as error:
        raise InputError("a region's points are pairs of numbers") from error
    if not (math.isfinite(across) and math.isfinite(down)):
        raise InputError("a region's points are finite numbers")
    height, width = plane.size
    x = min(max(int(across * width), 0), width - 1)
    y = min(max(int(down * height), 0), height - 1)
    voxel = plane.voxel(0, x, y)
    _, row, column = slices_first(plane.axis)
    return voxel[column], voxel[row]
