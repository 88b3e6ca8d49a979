"""Options of commands that show a 2-D model volumes slice by slice, and of their gray levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

from fastcam.cli.parsing import parse_numbers
from fastcam.options import WINDOWS, parse_window

Option = typer.Option
SLICES = "Slices of volumes, for a 2-D model"

Axis = Annotated[
    Literal["axial", "coronal", "sagittal"] | None,
    Option(
        help="Plane of the slices, found by the volume's affine; they keep the order of rows and "
        "columns that they have in the file. Default: the file's own slices; where these are not "
        "axial, a line says which plane they are.",
        rich_help_panel=SLICES,
    ),
]
Slices = Annotated[
    str | None,
    Option(
        metavar="all|middle:N|A-B|LIST",
        help="Which slices, counted from 0: all, the middle N, or those of a list such as "
        "3,10-20 that a volume has.",
        rich_help_panel=SLICES,
    ),
]
Context = Annotated[
    int | None,
    Option(
        metavar="1|3|5|...",
        help="Neighboring slices as the model's channels (2.5-D), the slice itself in the middle; "
        "at the ends the first and the last repeat. Default: 1, the slice alone, repeated for a "
        "model of three color channels.",
        rich_help_panel=SLICES,
    ),
]


@dataclass(frozen=True, kw_only=True)
class GreyOptions:
    """Which gray levels become black and white."""

    window_level: Annotated[
        str | None,
        Option(
            metavar="NAME|C,W",
            help="Center and width of the window, in the unit of the file, such as HU, or one of "
            f"{', '.join(WINDOWS)}. Default: the file's own window, else percentiles 0.5 and 99.5 "
            "of the volume.",
            rich_help_panel=SLICES,
        ),
    ] = None
    percentiles: Annotated[
        str | None,
        Option(
            metavar="LOW,HIGH",
            help="Percentiles of the volume that become black and white.",
            rich_help_panel=SLICES,
        ),
    ] = None

    def keywords(self) -> dict[str, Any]:
        """As :func:`fastcam.infer` takes them. InputError for what are no numbers."""
        return {
            "window_level": parse_window("window-level", self.window_level),
            "percentiles": parse_numbers("percentiles", self.percentiles, "1,99"),
        }


@dataclass(frozen=True, kw_only=True)
class SliceChoice:
    """Which slices of volumes a 2-D model sees."""

    axis: Axis = None
    slices: Slices = None
    context: Context = None


@dataclass(frozen=True, kw_only=True)
class SliceOptions(SliceChoice):
    """Which slices of volumes a 2-D model sees, and how their answers become the case's."""

    pool: Annotated[
        Literal["mean", "max", "noisy-or"] | None,
        Option(
            help="How the probabilities of a case's slices become its own: their mean (default), "
            "the highest, or 1 - prod(1 - p); of a regression the mean or the highest value.",
            rich_help_panel=SLICES,
        ),
    ] = None
