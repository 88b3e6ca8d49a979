"""Options that every command with figures shares: how they look."""

from __future__ import annotations

from typing import Annotated

import typer

from fastcam.options import COLORMAPS, Blend, PictureFormat
from fastcam.options import Theme as ThemeName

Option = typer.Option
LOOK = "How they look"

Colormap = Annotated[str, Option(help=f"One of {', '.join(COLORMAPS)}.", rich_help_panel=LOOK)]
HeatAlpha = Annotated[
    float, Option(help="Weight of the heat in the overlay, 0 to 1.", rich_help_panel=LOOK)
]
HeatBlend = Annotated[
    Blend,
    Option(help="The same weight everywhere, or growing with the heat.", rich_help_panel=LOOK),
]
PanelSize = Annotated[
    int,
    Option(
        help="Smaller pictures are enlarged until the longer side has as many pixels.",
        rich_help_panel=LOOK,
    ),
]
Theme = Annotated[ThemeName, Option(help="Paper of the figures.", rich_help_panel=LOOK)]
Format = Annotated[PictureFormat, Option(help="File format.", rich_help_panel=LOOK)]
