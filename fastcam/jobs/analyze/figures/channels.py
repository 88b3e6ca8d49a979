"""A figure of the strongest channels of each layer, for one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fastcam.figures import fonts, glyph_atlas
from fastcam.figures.figure_parts import Panel, Sheet
from fastcam.figures.map_figure import NO_EVIDENCE, map_pair
from fastcam.figures.map_scales import has_negatives, is_constant, map_scale
from fastcam.figures.notebook_figure import Figure
from fastcam.figures.render_style import render_style_of
from fastcam.figures.view_panels import figure_of_sheet, shrunk
from fastcam.jobs.analyze.figures.subject import Subject
from fastcam.options import Style

# Longer side of a panel, in pixels.
_PANEL_SIZE = 256


@dataclass(frozen=True, eq=False)
class Channel:
    """A channel of a layer: its number, and its activations (h, w) float32."""

    number: int
    activations: NDArray[np.float32]


def channels_figure(
    subject: Subject, channels: Mapping[str, Sequence[Channel]], style: Style
) -> Figure:
    """A row for each layer: the picture, and beside it the layer's channels in their order."""
    rows = []
    for layer, of_layer in channels.items():
        over = subject.of(layer)
        height, width = over.panel_size(replace(style, panel_size=_PANEL_SIZE))
        picture = shrunk(over.picture, height, width)
        row = [Panel(layer, height, width, image=picture, left_side=over.left_side)]
        # Of a layer without ReLU all of them, so that zero has one color.
        signed = any(has_negatives(channel.activations) for channel in of_layer)
        for channel in of_layer:
            values = channel.activations
            note = f", {NO_EVIDENCE}" if is_constant(values) else ""
            heat, _ = map_pair(
                picture,
                over.whole_map(values, height, width),
                map_scale(values, "patient", signed and not style.classic),
                (f"channel {channel.number}{note}", ""),
                height,
                width,
                style,
            )
            row.append(heat)
        rows.append(tuple(row))
    characters = glyph_atlas.alphabet([subject.heading.title, *channels])
    render_style = render_style_of(
        style, characters, fonts.chain(characters, style.font), _PANEL_SIZE
    )
    note = "strongest channels of each layer"
    sheet = Sheet(subject.heading.title, note, render_style.palette.caption, tuple(rows))
    return figure_of_sheet(sheet, render_style)
