"""Where the slices of a volume lie in the patient, from its affine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fastcam.figures.slice_facts import NO_FACTS, SliceFacts, SlicePosition, window_text
from fastcam.read.volumes import orientation
from fastcam.read.volumes.voxels import Volume

# Pixels whose sides differ by no more than this are square.
_SQUARE = 1.01
# Letters of the name of a series.
_LONGEST_SERIES = 28


@dataclass(frozen=True, eq=False)
class SliceGeometry:
    """What is known of every slice of a volume, computed once: reading an affine takes 0.1 ms.

    Attributes:
        facts: what all slices share.
        position: where they lie; None where it isn't known.
    """

    facts: SliceFacts = NO_FACTS
    position: SlicePosition | None = None

    def of(self, index: int, voxel_index: int) -> SliceFacts:
        """The facts of the slice that is called ``index`` and is ``voxel_index`` in the file."""
        position = "" if self.position is None else self.position.text(voxel_index)
        return replace(self.facts, index=index, position=position)


NO_GEOMETRY = SliceGeometry()


def slice_geometry(
    volume: Volume, turn: orientation.Orientation, window: tuple[float, float], depth: int
) -> SliceGeometry:
    """What figures say of the slices of a volume, which are shown turned by ``turn``.

    ``window`` (low, high) in raw voxels; ``depth`` is the number of slices that are counted.
    Millimetres only where the file itself says how its voxels lie.
    """
    if volume.affine is None:
        return SliceGeometry(SliceFacts(depth=depth))
    top_side = orientation.left_side(volume.affine, turn.then(orientation.TRANSPOSE))
    facts = SliceFacts(
        depth,
        window=_window_text(volume, window),
        top_side=top_side,
        pixel_aspect=pixel_aspect(volume.affine, turn),
        series=_shortened(volume.series),
    )
    if not volume.placed or not np.isfinite(volume.affine).all():
        return SliceGeometry(facts)
    across = 1 if turn.transpose else 0
    pixel_width = float(np.linalg.norm(volume.affine[:3, across]))
    return SliceGeometry(replace(facts, pixel_width=pixel_width), _position(volume))


def _window_text(volume: Volume, window: tuple[float, float]) -> str:
    """Center and width of a window (low, high) in raw voxels; of the file's own as it has them."""
    if volume.written_window is not None and np.allclose(sorted(window), sorted(volume.window)):
        center, width = volume.written_window
        return window_text(center - width / 2, center + width / 2, volume.unit)
    low, high = (end * volume.slope + volume.intercept for end in window)
    return window_text(low, high, volume.unit)


def _shortened(series: str) -> str:
    """A caption has room for one line."""
    return series if len(series) <= _LONGEST_SERIES else f"{series[: _LONGEST_SERIES - 1]}…"


def pixel_aspect(affine: NDArray[np.float64] | None, turn: orientation.Orientation) -> float:
    """The height of a pixel over its width, in mm, of slices that are shown turned by ``turn``.

    ``affine`` (4, 4): voxel (x, y, z, 1) to mm. 1 where it tells no sizes, and where these differ
    by less than 1 %, which is what files round.
    """
    if affine is None:
        return 1.0
    across, down = np.linalg.norm(affine[:3, :2], axis=0).tolist()
    if not (0 < across < np.inf and 0 < down < np.inf):
        return 1.0
    aspect: float = across / down if turn.transpose else down / across
    return 1.0 if max(aspect, 1 / aspect) <= _SQUARE else aspect


def _position(volume: Volume) -> SlicePosition | None:
    """Where slices lie along the axis of the patient that is nearest to theirs."""
    axes = orientation.nearest_axes(volume.affine)
    if volume.affine is None or axes is None or not np.isfinite(axes).all() or volume.uneven:
        return None
    axis = int(axes[2, 0])
    _, height, width = volume.voxels.shape
    middle = np.array([(width - 1) / 2, (height - 1) / 2, 0.0, 1.0])
    first = float((volume.affine @ middle)[axis])
    below, above = (("L", "R"), ("P", "A"), ("I", "S"))[axis]
    return SlicePosition(below, above, first, float(volume.affine[axis, 2]))
