"""The gates of channel attention as bars, the channels with the highest gates of every module."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fastcam.figures.notebook_figure import Figure
from fastcam.figures.view_panels import titled
from fastcam.options import Style
from fastcam.report.plots import frame, new_page, page_figure, plot_style, write_title

TOP, MOST = 20, 8
_WIDTH, _ROW, _HEAD = 11.0, 2.7, 0.95
_COLOR = {"light": "#2f6db5", "dark": "#6ea8ec"}


def top_channels(gates: NDArray[np.float32], count: int = TOP) -> list[int]:
    """The channels with the highest gates, highest first; of equal ones the lower number."""
    order: list[int] = np.argsort(-gates, kind="stable")[:count].tolist()
    return order


def channel_bars(
    gates: Mapping[str, NDArray[np.float32]], title: str = "", style: Style | None = None
) -> Figure:
    """A row of bars for every module, or the last ``MOST`` of them: its ``TOP`` channels with the
    highest gates, highest first.

    ``gates``: by module (channels,) float32, 0 to 1. A line marks the mean of all channels.
    """
    count = len(gates)
    gates = dict(list(gates.items())[-MOST:])
    style = style or Style()
    palette = plot_style(style)
    height = _HEAD + _ROW * len(gates)
    page = new_page(_WIDTH, height, style)
    note = f"The {TOP} channels with the highest gates; the line is the mean of all channels."
    if count > MOST:
        note += f" The last {MOST} of {count} modules."
    write_title(page, titled(title, "channel attention"), note, style)
    for row, (name, values) in enumerate(gates.items()):
        bottom = height - _HEAD - (row + 1) * _ROW
        axes = page.add_axes((0.06, (bottom + 0.55) / height, 0.92, (_ROW - 1.0) / height))
        channels = top_channels(values)
        heading = f"{name} · {len(values)} channels, gates {values.min():.2f} to {values.max():.2f}"
        frame(axes, heading, style, "channel", "gate")
        axes.bar(range(len(channels)), values[channels], 0.8, color=_COLOR[style.theme])
        axes.axhline(float(values.mean()), color=palette.title, linewidth=1.2, linestyle="--")
        axes.set_xticks(range(len(channels)), [str(channel) for channel in channels])
        axes.set_xlim(-0.6, max(len(channels), 1) - 0.4)
        axes.set_ylim(0, 1)
        axes.grid(axis="x", visible=False)
    return page_figure(page, style)
