"""Where a map's cells lie in a model's input, and the map laid over that input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class MapField:
    """The field of a map whose cells don't share the model's input out among them.

    Axes are (y, x) or (z, y, x), numbers in pixels of the model's input, 0 its first edge. Cell i
    is centerd at ``offset + (i + 1/2) * stride``.

    Attributes:
        size: of the model's input.
        offset: where the first cell begins; below 0 where the input was padded.
        stride: from one cell to the next; below 0 where the model turned the input over.
        seen: start and end of the part of the input that the cells were computed from.
    """

    size: tuple[int, ...]
    offset: tuple[float, ...]
    stride: tuple[float, ...]
    seen: tuple[tuple[float, float], ...]

    def plain(self) -> dict[str, Any]:
        """As lists and numbers, for JSON."""
        return {
            "size": list(self.size),
            "offset": list(self.offset),
            "stride": list(self.stride),
            "seen": [list(ends) for ends in self.seen],
        }

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> MapField:
        """What ``plain`` gave."""
        return cls(
            tuple(int(side) for side in plain["size"]),
            tuple(float(start) for start in plain["offset"]),
            tuple(float(step) for step in plain["stride"]),
            tuple((float(low), float(high)) for low, high in plain["seen"]),
        )


def over_input(values: NDArray[np.float32], field: MapField | None) -> NDArray[np.float32]:
    """Maps (..., h, w) or (..., d, h, w) laid over the whole of the model's input, a value a pixel.

    Linear between the centers of the cells, the nearest cell's value beyond the last center, 0
    outside of what the model saw for this map. Cells in a padded margin are cut off. As they are
    where ``field`` is None: then the cells share the input out.
    """
    if field is None:
        return values
    first = values.ndim - len(field.size)
    for axis, size in enumerate(field.size):
        values = _along(
            values, first + axis, size, field.offset[axis], field.stride[axis], field.seen[axis]
        )
    return np.ascontiguousarray(values, np.float32)


def _along(
    values: NDArray[np.float32],
    axis: int,
    size: int,
    offset: float,
    stride: float,
    seen: Sequence[float],
) -> NDArray[np.float32]:
    pixels = np.arange(size) + 0.5
    last = values.shape[axis] - 1
    positions = np.clip((pixels - offset) / stride - 0.5, 0, last)
    before = np.minimum(positions.astype(np.intp), max(last - 1, 0))
    share = (positions - before).astype(np.float32)
    inside = (pixels > seen[0]) & (pixels < seen[1])
    across = [-1 if other == axis else 1 for other in range(values.ndim)]
    low = np.take(values, before, axis)
    high = np.take(values, np.minimum(before + 1, last), axis)
    placed: NDArray[np.float32] = (low + (high - low) * share.reshape(across)) * inside.reshape(
        across
    ).astype(np.float32)
    return placed
