"""Multiples of uniform attention, and which panels there are in which order."""

from __future__ import annotations

import numpy as np
import pytest

from fastcam.errors import InputError
from fastcam.jobs.vit.attention_views import all_heads, attention_layers, attention_rollout
from fastcam.options import Style

from .attention_figures import GRID, RNG, STEP, N, cls_maps, painted, show, vit_of
from .passes import pass_of_layers

STANDARD = Style(panel_size=128, heat_alpha=0.4)


def multiples(cells: np.ndarray) -> np.ndarray:
    """What each place has of what all would have if it were the same for all."""
    return cells / cells.astype(np.float64).mean()


def test_attention_is_in_multiples_of_uniform_from_0_to_the_highest_of_the_figure() -> None:
    vit = vit_of(3)
    sheet, ((_, *heats), _) = show(attention_layers, vit, layers=[0, 1, 2], style=STANDARD)
    maps = [multiples(heads.mean(axis=0)) for heads in cls_maps(vit, 1)]
    high = max(2.0, np.max(maps))
    for panel, heat, cells in zip(sheet.rows[0][1:], heats, maps, strict=True):
        assert panel.limits == pytest.approx((0.0, high))
        assert panel.bar_caption == "× uniform"
        assert np.abs(heat - painted(cells, 0.0, high)).max() <= STEP


def test_each_head_and_their_mean_have_uniform_attention_of_their_own() -> None:
    vit = vit_of(1, 3)
    style = Style(panel_size=256, heat_alpha=0.4)
    sheet, rows = show(all_heads, vit, layer=0, style=style)
    maps = cls_maps(vit, 1)[0]
    high = max(2.0, max(multiples(cells).max() for cells in maps))
    assert sheet.rows[0][1].limits == pytest.approx((0.0, high))
    expected = painted(multiples(maps.mean(axis=0)), 0.0, high)
    assert np.abs(rows[0][1] - expected).max() <= STEP
    for panel, cells in zip(rows[1], maps, strict=True):
        assert np.abs(panel - painted(multiples(cells), 0.0, high)).max() <= STEP


def test_attention_all_but_uniform_looks_flat_and_is_said_to_be_so() -> None:
    layer = np.full((2, 1, N, N), 1 / N) * (1 + 0.01 * RNG.uniform(-1, 1, (2, 1, N, N)))
    vit = pass_of_layers([layer.astype(np.float32)] * 2, GRID)
    for view in (attention_layers, attention_rollout):
        sheet, ((_, heat, *_), *_) = show(view, vit, style=STANDARD)
        assert "all but uniform" in sheet.note
        # JET's green in the middle, all over.
        assert (heat[..., 1] == 255).all()
        assert np.ptp(heat[..., 0].astype(int)) < 20
    assert sheet.rows[0][1].limits == (0.0, 2.0)


@pytest.mark.parametrize(
    ("order", "layers", "heads", "rollout"),
    [
        (("overlay", "image"), ["ooooo*i", "oooo*i"], ["o*i", "oo*"], ["o*i"]),
        (("heat", "image", "overlay"), ["ihhhhh*", "iooooo", "ihhhh*", "ioooo"], None, ["h*io"]),
        (("overlay", "heat"), ["ooooo", "hhhhh*", "oooo", "hhhh*"], ["oh*", "oo", "hh*"], ["oh*"]),
        (("mask", "heat"), ["hhhhh*", "hhhh*"], ["h*", "hh*"], ["h*"]),
        (("image",), ["i"], ["i"], ["i"]),
    ],
)
def test_panels_and_their_order(order, layers, heads, rollout) -> None:
    """i for a picture or nothing, h for heat, o for an overlay, and * for a color bar."""
    vit = vit_of(9)
    style = Style(panel_size=64, panels=order)
    letters = {(True, False): "i", (False, True): "h", (True, True): "o"}

    def kinds(view, **named) -> list[str]:
        sheet, _ = show(view, vit, style=style, **named)
        return [
            "".join(
                letters[len(panel.image) > 0, len(panel.heat) > 0] + "*" * (panel.bar is not None)
                for panel in row
            )
            for row in sheet.rows
        ]

    assert kinds(attention_layers, layers=range(9)) == layers
    if heads:
        assert kinds(all_heads) == heads
    assert kinds(attention_rollout) == rollout


def test_panels_without_heat_say_what_they_show() -> None:
    sheet, _ = show(attention_rollout, vit_of(2), style=Style(panel_size=64, panels=("overlay",)))
    (panel,) = sheet.rows[0]
    assert panel.caption == "overlay, rollout"
    assert panel.bar_caption == "× uniform"
    with pytest.raises(InputError, match="--panels mask: these figures have image, heat, overlay"):
        show(attention_rollout, vit_of(2), style=Style(panel_size=64, panels=("mask",)))
