"""The figure of channels: zero has one color in all channels of a layer."""

from __future__ import annotations

import numpy as np
import pytest

from fastcam.figures.map_figure import Heading
from fastcam.jobs.analyze.figures.channels import Channel, channels_figure
from fastcam.jobs.analyze.figures.subject import Subject
from fastcam.options import Style

SUBJECT = Subject(Heading("image", "", None), np.full((40, 60, 1), 100, np.uint8))


def channel(number: int, low: float, high: float) -> Channel:
    return Channel(number, np.linspace(low, high, 12, dtype=np.float32).reshape(3, 4))


@pytest.mark.parametrize(
    ("ranges", "limits"),
    [
        ([(-2, -1), (1, 3)], [(-2, 2), (-3, 3)]),  # a layer without ReLU
        ([(0, 2), (1, 3)], [(0, 2), (1, 3)]),
    ],
)
def test_channels_of_a_layer_have_one_kind_of_scale(ranges, limits) -> None:
    channels = [channel(number, *ends) for number, ends in enumerate(ranges)]
    figure = channels_figure(SUBJECT, {"conv": channels}, Style())
    _, *panels = figure.sheet.rows[0]
    assert [panel.limits for panel in panels] == limits
    assert all(panel.bar_zero == (limits[0][0] < 0) for panel in panels)
    classic = channels_figure(SUBJECT, {"conv": channels}, Style(style="classic"))
    assert [panel.limits for panel in classic.sheet.rows[0][1:]] == ranges
