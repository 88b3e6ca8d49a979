"""Options of commands that draw from volumes: how slices and boxes lie in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from fastcam.cli.model_options import VOLUME_HELP
from fastcam.options import Axes, Orient

Option = typer.Option
SOURCES = "Where the images are"


@dataclass(frozen=True, kw_only=True)
class GeometryOptions:
    """How the slices and the boxes of results lie in the volumes."""

    axes: Annotated[
        Axes,
        Option(
            help="Order in which boxes were made: SimpleITK's or nibabel's.",
            rich_help_panel=SOURCES,
        ),
    ] = "zyx"
    orient: Annotated[
        Orient,
        Option(
            help="Turn slices by the affine, or leave the array as it lies.",
            rich_help_panel=SOURCES,
        ),
    ] = "radiological"
    frame: Annotated[
        str,
        Option(
            help="Frame of the boxes: image, mask-crop:SIZE as in mask-crop:244, or auto: the one "
            "(with axes and slices) that fits the results file's mask_ratio.",
            rich_help_panel=SOURCES,
        ),
    ] = "image"
    slices: Annotated[
        str,
        Option(
            help="What slice indices count: all, or middle:COUNT as in middle:100.",
            rich_help_panel=SOURCES,
        ),
    ] = "all"
    volume: Annotated[
        str | None,
        Option(
            metavar="N|NAME",
            help=VOLUME_HELP + " Of a store of maps: default, the one that was run.",
            rich_help_panel=SOURCES,
        ),
    ] = None
