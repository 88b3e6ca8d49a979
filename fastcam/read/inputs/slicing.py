"""The slices of volumes that a 2-D model is run on: which of them, along which axis, in what order.

Planned in integers from the files' headers: a table with a row for each slice that is run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError, InputError
from fastcam.read.axis_order import Axes
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.model_input import wrong_channels
from fastcam.read.volumes.channels import channel_count, channels_grid
from fastcam.read.volumes.geometry import Grid
from fastcam.read.volumes.slice_axis import Plane, array_axis, plane_of_slices, slices_first
from fastcam.read.volumes.volumes import open_volume, volume_grid
from fastcam.storage.listing import listed
from fastcam.storage.locations import crowded
from fastcam.storage.object_starts import by_starts

Pool = Literal["mean", "max", "noisy-or"]
# Channels of a model of pictures in color.
_COLORS = 3
_PART = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
_MIDDLE = re.compile(r"middle:(\d{1,9})")


@dataclass(frozen=True, kw_only=True)
class Slicing:
    """How a 2-D model is run over volumes: slice by slice.

    - ``axis``: the plane of the slices, by the affine; None: the file's own slices
    - ``slices``: which of them; see :func:`parse_slice_choice`
    - ``context``: how many neighboring slices are the model's channels: odd, the slice itself in
      the middle; beyond the first and last slice these repeat. 1: the slice alone
    - ``pool``: how a case's answer is made of those of its slices

    InputError for what is not one of these.
    """

    axis: Plane | None = None
    slices: str = "all"
    context: int = 1
    pool: Pool = "mean"

    def __post_init__(self) -> None:
        for option, value, allowed in (
            ("axis", self.axis, get_args(Plane)),
            ("pool", self.pool, get_args(Pool)),
        ):
            if value is not None and value not in allowed:
                raise InputError(f"--{option} {value!r} is not known: use {', '.join(allowed)}")
        if self.context < 1 or self.context % 2 == 0:
            raise InputError(
                f"--context {self.context}: give an odd number, the slice and as many on each side"
            )
        parse_slice_choice(self.slices)

    def wrong_channels(self, own: int, channels: int) -> str:
        """Why slices of a volume of ``own`` channels don't fill those of a model; empty where they
        do.

        One grey slice is repeated for a model of three colors; the channels of a volume are those
        of the model, in their order.
        """
        if own > 1:
            if self.context > 1:
                return f"has {own} channels, and --context is for volumes of one: leave it out"
            return "" if own == channels else wrong_channels(own, channels)
        if self.context == channels or (self.context == 1 and channels == _COLORS):
            return ""
        fits = f"--context {channels} fills them with a slice and its neighbours"
        if channels % 2 == 0:
            fits = "no slice with its neighbours is an even number"
        return (
            f"the model takes {channels} channels, and --context {self.context} gives "
            f"{self.context}: {fits}"
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What the maps of slices depend on, as plain values by name."""
        return {
            "axis": self.axis or "",
            "slices": self.slices,
            "context": self.context,
        }

    @classmethod
    def of_settings(cls, settings: Mapping[str, Any]) -> Slicing:
        """That of a store's settings, where :attr:`settings` is ``slicing``."""
        slicing = settings["slicing"]
        return cls(
            axis=slicing["axis"] or None,
            slices=slicing["slices"],
            context=slicing["context"],
            pool=settings["pool"],
        )


def parse_slice_choice(text: str) -> list[range] | int | None:
    """``all`` is None, ``middle:N`` the number N, a list such as ``3,10-20`` its ranges.

    Slices count from 0, in the file's order; both ends of a range belong to it. InputError for
    anything else.
    """
    if text == "all":
        return None
    middle = _MIDDLE.fullmatch(text)
    if middle is not None and int(middle[1]) > 0:
        return int(middle[1])
    ranges = []
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise InputError(
                f"--slices {text!r}: give all, middle:N, A-B or a list, as in middle:20, 10-30 or "
                "3,10-20; slices count from 0"
            )
        ranges.append(range(first, last + 1))
    return ranges


def chosen_slices(text: str, depth: int, source: Path) -> NDArray[np.int32]:
    """The slices (m,) of a volume of ``depth`` that ``text`` chooses, ascending, from 0.

    Those of a list that the volume doesn't have are left out; CaseError, which names ``source``,
    where none is left.
    """
    choice = parse_slice_choice(text)
    if choice is None:
        return np.arange(depth, dtype=np.int32)
    if isinstance(choice, int):
        count = min(choice, depth)
        first = (depth - count) // 2
        return np.arange(first, first + count, dtype=np.int32)
    selected = np.zeros(depth, bool)
    for part in choice:
        selected[part.start : part.stop] = True
    if not selected.any():
        raise CaseError(
            f"{source}: --slices {text} chooses none of its {depth} slices, 0 to {depth - 1}"
        )
    return np.flatnonzero(selected).astype(np.int32)


@dataclass(frozen=True, eq=False)
class SliceTable:
    """The slices that are run, a row each, volume after volume.

    - ``offset`` (n + 1,) int64: the rows of volume ``i`` are ``offset[i]`` to ``offset[i + 1]``
    - ``axis`` (n,) int32: the axis, of the file's (z, y, x), that its slices are stacked along
    - ``index`` (rows,) int32: the slice, from 0; -1 for the one row of a volume whose slices can't
      be known
    - ``planes``: of each volume the plane of its file's own slices, where these are run; None where
      that isn't known, empty where a plane was chosen
    """

    offset: NDArray[np.int64]
    axis: NDArray[np.int32]
    index: NDArray[np.int32]
    planes: tuple[Plane | None, ...] = ()

    def __len__(self) -> int:
        return len(self.index)

    @property
    def count(self) -> int:
        """Number of volumes."""
        return len(self.axis)

    def rows(self, case: int) -> range:
        """The rows of the volume with the 0-based number ``case``."""
        return range(int(self.offset[case]), int(self.offset[case + 1]))

    @cached_property
    def cases(self) -> NDArray[np.int64]:
        """(rows,): the volume that each row belongs to."""
        return np.repeat(np.arange(self.count), np.diff(self.offset))


def plan_slices(
    items: Sequence[Item], slicing: Slicing, axes: Axes = "zyx", volume: str | None = None
) -> SliceTable:
    """The table of the volumes ``items``, from their headers.

    ``volume``: which one, where a file or series has several. A volume that can't be read has one
    row, by which it fails when it is its turn. InputError where that is so of all.
    """
    lengths, axis_of, indices = [], [], []
    planes: list[Plane | None] = []
    reasons = []
    sources = [item.source for item in items]
    with listed(*crowded(sources)):
        grids = by_starts(partial(_grid_or_reason, axes=axes, volume=volume), sources)
    for item, grid in zip(items, grids, strict=True):
        try:
            if isinstance(grid, CaseError):
                raise grid
            axis = array_axis(grid, slicing.axis, item.source)
            depth = grid.shape[slices_first(axis)[0]]
            slices = chosen_slices(slicing.slices, depth, item.source)
            plane = None if slicing.axis else plane_of_slices(grid)
        except CaseError as error:
            reasons.append(str(error))
            axis, slices, plane = 0, np.array([-1], np.int32), None
        lengths.append(len(slices))
        axis_of.append(axis)
        indices.append(slices)
        planes.append(plane)
    if len(reasons) == len(items):
        raise InputError(reasons[0])
    offset = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    own = () if slicing.axis else tuple(planes)
    return SliceTable(offset, np.array(axis_of, np.int32), np.concatenate(indices), own)


def _grid_or_reason(source: Path, axes: Axes, volume: str | None) -> Grid | CaseError:
    try:
        return _grid(source, axes, volume)
    except CaseError as error:
        return error


def _grid(source: Path, axes: Axes, volume: str | None) -> Grid:
    if volume is None and channel_count(source) > 1:
        return channels_grid(source, axes)
    return volume_grid(source, axes, volume)


def plane_remark(items: Sequence[Item], table: SliceTable) -> str:
    """Which plane the files' own slices are, where these are run and aren't axial; else empty.

    Models of slices are mostly trained on axial ones, and a volume may be stored in any plane.
    """
    by_plane: dict[Plane, list[Path]] = {}
    for item, plane in zip(items, table.planes, strict=False):
        if plane not in (None, "axial"):
            by_plane.setdefault(plane, []).append(item.source)
    if not by_plane:
        return ""
    texts = [
        f"{plane} of {len(files)} volume{'s' if len(files) > 1 else ''}, such as {files[0]}"
        for plane, files in by_plane.items()
    ]
    return f"the files' own slices are {'; '.join(texts)}; --axis axial runs axial ones"


def unknown_slices(
    source: Path, slicing: Slicing, axes: Axes = "zyx", volume: str | None = None
) -> CaseError:
    """Why the slices of a volume couldn't be planned."""
    try:
        grid = _grid(source, axes, volume)
        axis = array_axis(grid, slicing.axis, source)
        chosen_slices(slicing.slices, grid.shape[slices_first(axis)[0]], source)
        open_volume(source, axes, volume=volume)
    except CaseError as error:
        return error
    return CaseError(
        f"{source}: could not be read when the run began; start again with --overwrite"
    )
