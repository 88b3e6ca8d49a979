"""Options that commands with figures share: how they look, and how results are printed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from fastcam.options import COLORMAPS, Blend, PictureFormat
from fastcam.options import Scale as ScaleName
from fastcam.options import Theme as ThemeName

Option = typer.Option
STYLE = "How they look"

Scale = Annotated[
    ScaleName,
    Option(help="Within what the heat of figures can be compared.", rich_help_panel=STYLE),
]
PanelSize = Annotated[
    int,
    Option(
        help="Smaller pictures are enlarged until the longer side has as many pixels.",
        rich_help_panel=STYLE,
    ),
]
Theme = Annotated[ThemeName, Option(help="Paper of the figures.", rich_help_panel=STYLE)]
Format = Annotated[PictureFormat, Option(help="File format.", rich_help_panel=STYLE)]


@dataclass(frozen=True, kw_only=True)
class HeatOptions:
    """How maps are laid over images."""

    colormap: Annotated[
        str, Option(help=f"One of {', '.join(COLORMAPS)}.", rich_help_panel=STYLE)
    ] = "jet"
    heat_alpha: Annotated[
        float, Option(help="Weight of the heat in the overlay, 0 to 1.", rich_help_panel=STYLE)
    ] = 0.5
    blend: Annotated[
        Blend,
        Option(help="The same weight everywhere, or growing with the heat.", rich_help_panel=STYLE),
    ] = "flat"
