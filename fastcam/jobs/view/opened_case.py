"""A case that is open: what can be asked of it, whichever kind of run it comes from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fastcam.figures.figure_parts import Panel, Sheet
from fastcam.jobs.view.planes import Plane, Voxel
from fastcam.options import Style
from fastcam.read.volumes.geometry import Affine

Limits = tuple[float, float]
PanelKind = Literal["image", "mask", "heat", "overlay"]
PANEL_KINDS: tuple[PanelKind, ...] = get_args(PanelKind)


@dataclass(frozen=True, kw_only=True)
class Look:
    """How pictures are drawn.

    Attributes:
        style: color table, opacity, blend, scale, boxes, size.
        window: (low, high), what is shown black and white, in the unit of the volume; None: as
            figures show it.
        limits: (low, high), the heat at the ends of the color table; None: those of the scale.
        contour: whether the mask is outlined.
        cohort: the limits over all cases, for the scale ``cohort``.
    """

    style: Style
    window: Limits | None = None
    limits: Limits | None = None
    contour: bool = False
    cohort: Limits | None = None


@dataclass(frozen=True, kw_only=True)
class Slot:
    """Which picture of a case: a map, a plane, and the slice in it.

    Attributes:
        map: number of the map, from 0, in the run's list.
        head: head of an attention map, from 0; None for the mean of the heads.
        axis: the axis of (z, y, x) that slices are stacked along; 0 for the run's own slices.
        index: number of the slice; of the run's own slices as the run counts them.
    """

    map: int = 0
    head: int | None = None
    axis: int = 0
    index: int = 0


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What lies at one place of a picture.

    Attributes:
        voxel: (z, y, x) in the file's order; None outside, as in padding.
        position: (x, y, z) RAS millimetres; None where no affine tells.
        image: the image's value in the file's unit, one for each channel.
        heat: the map's value in the unit of its scale; None where there is no heat.
        cell: the store's own value nearest to the place; None where there is none.
    """

    voxel: Voxel | None = None
    position: tuple[float, float, float] | None = None
    image: tuple[float, ...] = ()
    heat: float | None = None
    cell: float | None = None

    def facts(self) -> dict[str, Any]:
        """As plain values."""
        return {name: getattr(self, name) for name in Reading.__dataclass_fields__}


class OpenedCase(ABC):
    """A case with its pixels in memory."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes of its arrays."""

    @property
    @abstractmethod
    def first(self) -> int:
        """The file's slice that the run counts as 0."""

    @property
    @abstractmethod
    def planes(self) -> Mapping[int, Plane]:
        """The planes that can be shown, by axis."""

    @property
    @abstractmethod
    def affine(self) -> Affine | None:
        """From the voxels of its planes to RAS millimetres; None where nobody knows."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What the page needs to know of the case, as plain values."""

    @abstractmethod
    def sheet(self, slot: Slot, look: Look) -> Sheet:
        """The figure that the picture is a panel of. CaseError where there is no such map."""

    @abstractmethod
    def notes(self, slot: Slot, look: Look) -> tuple[str, ...]:
        """What has to be said of a map, as below the header of its figure."""

    def colors(self, slot: Slot, look: Look) -> str:
        """The name of the color table of a picture's heat."""
        return look.style.colormap

    @abstractmethod
    def reading(self, slot: Slot, look: Look, across: float, down: float) -> Reading:
        """What lies at a share, 0 to below 1, of the picture's width and height."""

    @abstractmethod
    def mask_of(self, slot: Slot) -> NDArray[np.uint8] | None:
        """The mask (h, w) of a picture as it is shown, not 0 inside; None without one."""


def panels_of(sheet: Sheet) -> dict[PanelKind, Panel]:
    """The panels of a figure's first row by what they show."""
    panels: dict[PanelKind, Panel] = {}
    for panel in sheet.rows[0]:
        if len(panel.heat):
            panels["overlay" if len(panel.image) else "heat"] = panel
        else:
            panels["mask" if "image" in panels else "image"] = panel
    return panels
