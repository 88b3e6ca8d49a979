"""Gates of channel attention as bars."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from fastcam.jobs.explain import channel_bars as channelbars
from fastcam.jobs.explain.channel_bars import MOST, TOP, channel_bars, top_channels
from fastcam.options import Style

RNG = np.random.default_rng(2)


def pages(gates: dict[str, np.ndarray]) -> Any:
    """matplotlib's page behind the figure."""
    seen = []
    whole = channelbars.page_figure  # type: ignore[attr-defined]

    def watched(page: Any, style: Style) -> Any:
        seen.append(page)
        return whole(page, style)

    with patch.object(channelbars, "page_figure", watched):
        figure = channel_bars(gates, "image")
    (page,) = seen
    assert figure.pixels.shape[2] == 3
    return page


def test_the_highest_first_and_of_equal_ones_the_lower_number() -> None:
    assert top_channels(np.array([0.1, 0.9, 0.5, 0.9], np.float32), 3) == [1, 3, 2]


@pytest.mark.parametrize("channels", [5, 64])
def test_bars_are_the_gates(channels: int) -> None:
    gates = {"a.se": RNG.random(channels, np.float32), "b.se": RNG.random(channels, np.float32)}
    page = pages(gates)
    for axes, (name, values) in zip(page.axes, gates.items(), strict=True):
        heights = [bar.get_height() for bar in axes.patches]
        assert heights == pytest.approx(sorted(values.tolist(), reverse=True)[:TOP])
        labels = [int(label.get_text()) for label in axes.get_xticklabels()]
        assert [values[label] for label in labels] == pytest.approx(heights)
        assert axes.lines[0].get_ydata()[0] == pytest.approx(values.mean())
        assert axes.get_title(loc="left").startswith(f"{name} · {channels} channels")


def test_the_last_of_many_modules() -> None:
    page = pages({f"block{at}": RNG.random(4, np.float32) for at in range(MOST + 3)})
    assert [axes.get_title(loc="left").split(" ")[0] for axes in page.axes] == [
        f"block{at}" for at in range(3, MOST + 3)
    ]
    assert any(f"The last {MOST} of {MOST + 3} modules" in text.get_text() for text in page.texts)
