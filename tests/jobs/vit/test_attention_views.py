"""The views of layers, heads and rollout, panel by panel, against slow painting with NumPy."""

from __future__ import annotations

from inspect import Parameter, signature

import numpy as np
import pytest
import torch

from fastcam.errors import InputError
from fastcam.jobs.vit.attention_views import all_heads, attention_layers, attention_rollout
from fastcam.jobs.vit.map_view import MapViewOptions, map_view
from fastcam.options import Style

from ...figures.expected_pixels import JET
from .attention_figures import (
    GRID,
    HEIGHT,
    RNG,
    STEP,
    WIDTH,
    N,
    cls_maps,
    painted,
    photo,
    show,
    vit_of,
)
from .passes import pass_of_layers, random_weights


def test_one_patch_lights_up() -> None:
    layer = np.zeros((2, 1, N, N), np.float32)
    layer[:, :, 0, 0] = 1
    layer[1, :, 0, 0], layer[1, :, 0, 1 + 6] = 0, 1
    _, ((image, heat), (_, overlay)) = show(attention_layers, pass_of_layers([layer], GRID))
    lit = np.zeros((HEIGHT, WIDTH), bool)
    lit[32:64, 64:96] = True
    assert np.array_equal((heat == JET[255]).all(axis=2), lit)
    assert np.array_equal((heat == JET[0]).all(axis=2), ~lit)
    assert np.abs(image - photo()).max() <= 1
    assert np.abs(overlay - (0.6 * photo() + 0.4 * heat)).max() <= 1.5


@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("head", ["mean", 1])
def test_layers_are_beside_each_other_on_one_scale(method: str, head) -> None:
    vit = vit_of(3)
    sheet, rows = show(attention_layers, vit, layers=[2, 0], head=head, interpolation=method)
    (image, *heats), (_, *overlays) = rows
    assert np.abs(image - photo()).max() <= 1
    maps = [cls_maps(vit, 1)[at] for at in (2, 0)]
    maps = [m.mean(axis=0) if head == "mean" else m[head] for m in maps]
    low, high = min(m.min() for m in maps), max(m.max() for m in maps)
    for heat, overlay, cells in zip(heats, overlays, maps, strict=True):
        expected = painted(cells, low, high, method)
        assert np.abs(heat - expected).max() <= STEP
        assert np.abs(overlay - (0.6 * photo() + 0.4 * expected)).max() <= STEP
    for panel, layer in zip(sheet.rows[0][1:], (2, 0), strict=True):
        assert panel.caption.startswith(f"layer {layer} · ")
        assert panel.limits == pytest.approx((low, high))
    assert [panel.bar is not None for panel in sheet.rows[0]] == [False, False, True]
    assert sheet.title == "attention of CLS"


def test_many_layers_go_on_below_and_the_image_is_there_once() -> None:
    """Seven in two rows of four and three, the overlays below each."""
    vit = vit_of(7)
    sheet, rows = show(attention_layers, vit, layers=range(7))
    assert [len(row) for row in rows] == [5, 5, 4, 4]
    assert [row[0].caption for row in sheet.rows] == ["image", "", "", ""]
    assert all((row[0] == 255).all() for row in rows[1:])
    maps = [heads.mean(axis=0) for heads in cls_maps(vit, 1)]
    expected = [painted(cells, np.min(maps), np.max(maps)) for cells in maps]
    for heat, cells in zip([*rows[0][1:], *rows[2][1:]], expected, strict=True):
        assert np.abs(heat - cells).max() <= STEP
    for overlay, cells in zip([*rows[1][1:], *rows[3][1:]], expected, strict=True):
        assert np.abs(overlay - (0.6 * photo() + 0.4 * cells)).max() <= STEP


def test_with_scale_slice_every_layer_has_its_own() -> None:
    vit = vit_of(2)
    style = Style(panel_size=128, scale="slice", style="classic")
    sheet, rows = show(attention_layers, vit, layers=[0, 1], style=style)
    panels = zip(*(row[1:] for row in sheet.rows), strict=True)
    for (panel, below), heat, heads in zip(panels, rows[0][1:], cls_maps(vit, 1), strict=True):
        cells = heads.mean(axis=0)
        assert panel.limits == below.limits == pytest.approx((cells.min(), cells.max()))
        # The columns stay in line.
        assert panel.bar is not None is not below.bar
        assert np.abs(heat - painted(cells, cells.min(), cells.max())).max() <= STEP


def test_two_models_beside_each_other_on_one_scale() -> None:
    first, second = vit_of(2), vit_of(2)
    sheet, rows = show(
        attention_layers, first, layers=[0, 1], compare=second, labels=("before", "after")
    )
    maps = [[m.mean(axis=0) for m in cls_maps(vit, 1)] for vit in (first, second)]
    low, high = np.min(maps), np.max(maps)
    for at in range(2):
        for number in range(2):
            expected = painted(maps[number][at], low, high)
            assert np.abs(rows[number][1 + at] - expected).max() <= STEP
            mixed = 0.6 * photo() + 0.4 * expected
            assert np.abs(rows[2 + number][1 + at] - mixed).max() <= STEP
    names = [row[1].caption.partition(" · ")[0] for row in sheet.rows]
    assert names == ["before", "after", "overlay, before", "overlay, after"]


def test_the_chosen_patch_is_outlined_and_its_attention_shown() -> None:
    vit = vit_of(1)
    sheet, ((image, heat), _) = show(attention_layers, vit, query=(95, 40))
    number = 1 * 4 + 3
    cells = vit.layers[0].attention.values[1, :, 1 + number, 1:].mean(0).numpy().reshape(GRID)
    expected = painted(cells, cells.min(), cells.max())
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[29:67, 93:] = True
    inside[32:64, 96:] = False
    assert np.abs(heat - expected)[~inside].max() <= STEP
    white, black = (image == 255).all(axis=2), (image == 0).all(axis=2)
    assert white[30:66, 94:96].all()
    assert white[[30, 31, 64, 65], 94:].all()
    assert not white[32:64, 96:].any()
    assert black[29:67, 93].all()
    assert black[[29, 66], 93:].all()
    assert sheet.title == f"attention of patch {number} (row 1, column 3)"


def test_without_cls_it_is_the_mean_over_patches() -> None:
    vit = pass_of_layers([random_weights(RNG, 2, 2, 12)], GRID, prefix=0, query="mean")
    sheet, ((_, heat), _) = show(attention_layers, vit)
    cells = vit.layers[0].attention.values[1].mean(0).mean(0).numpy().reshape(GRID)  # type: ignore[attr-defined]
    assert np.abs(heat - painted(cells, cells.min(), cells.max())).max() <= STEP
    assert "attention of all patches, mean over queries (no CLS token)" in sheet.title


@pytest.mark.parametrize(("heads", "across"), [(1, 1), (3, 3), (6, 6), (8, 4), (12, 6), (16, 6)])
def test_every_head_of_a_layer(heads: int, across: int) -> None:
    vit = vit_of(2, heads)
    style = Style(panel_size=256, heat_alpha=0.4, style="classic")
    sheet, rows = show(all_heads, vit, layer=0, style=style)
    maps = cls_maps(vit, 1)[0]
    low, high = maps.min(), maps.max()
    (image, mean, _), *rest = rows
    assert np.abs(image - photo()).max() <= 1
    assert np.abs(mean - painted(maps.mean(axis=0), low, high)).max() <= STEP
    heats = [panel for row in rest[::2] for panel in row]
    overlays = [panel for row in rest[1::2] for panel in row]
    captions = [panel.caption for row in sheet.rows[1::2] for panel in row]
    assert len(rest[0]) == across
    assert captions == [f"head {n}" for n in range(heads)]
    for n in range(heads):
        expected = painted(maps[n], low, high)
        assert np.abs(heats[n] - expected).max() <= STEP
        assert np.abs(overlays[n] - (0.6 * photo() + 0.4 * expected)).max() <= STEP


def test_heads_of_two_models_have_one_scale() -> None:
    first, second = vit_of(1, 2), vit_of(1, 3)
    sheet, rows = show(
        all_heads, first, compare=second, style=Style(panel_size=256, style="classic")
    )
    maps = [cls_maps(vit, 1)[0] for vit in (first, second)]
    low, high = min(m.min() for m in maps), max(m.max() for m in maps)
    assert [len(row) for row in rows] == [3, 2, 2, 3, 3, 3]
    for row, found in ((1, maps[0]), (4, maps[1])):
        for panel, cells in zip(rows[row], found, strict=True):
            assert np.abs(panel - painted(cells, low, high)).max() <= STEP
    assert sheet.rows[4][2].caption == "second · head 2"


def slow_rollout(vit, index: int, token: int) -> np.ndarray:
    whole = np.eye(N)
    for layer in vit.layers:
        fused = layer.attention.values[index].numpy().astype(np.float64).mean(axis=0) + np.eye(N)
        whole = (fused / fused.sum(axis=1, keepdims=True)) @ whole
    return whole[token, 1:].reshape(GRID).astype(np.float32)


@pytest.mark.parametrize(("query", "token"), [(None, 0), (6, 7)])
def test_rollout_of_two_models(query, token: int) -> None:
    first, second = vit_of(3), vit_of(3)
    sheet, ((_, *heats),) = show(attention_rollout, first, compare=second, query=query)
    maps = [slow_rollout(vit, 1, token) for vit in (first, second)]
    low, high = np.min(maps), np.max(maps)
    outside = np.ones((HEIGHT, WIDTH), bool)
    if query is not None:
        outside[29:67, 61:99] = False
    for heat, cells in zip(heats[:2], maps, strict=True):
        assert np.abs(heat - painted(cells, low, high))[outside].max() <= STEP
    assert sheet.verdict == "mean of heads · layers 0 to 2"


def test_attention_that_is_the_same_everywhere_is_no_evidence() -> None:
    layer = np.full((2, 1, N, N), 1 / N, np.float32)
    sheet, ((_, heat), _) = show(attention_layers, pass_of_layers([layer], GRID))
    assert (heat == JET[0]).all()
    assert sheet.rows[0][1].caption.endswith("no evidence")


@pytest.mark.parametrize("view", [attention_layers, all_heads, attention_rollout])
def test_what_these_figures_do_not_have(view) -> None:
    vit = vit_of()
    with pytest.raises(InputError, match="nearest, bilinear, bicubic"):
        view(vit, interpolation="lanczos")
    with pytest.raises(InputError, match="--scale rank"):
        view(vit, style=Style(scale="rank"))
    other = pass_of_layers([random_weights(RNG, 2, 2, 13)], GRID)
    with pytest.raises(InputError, match="layers of attention 2, the second 1"):
        view(vit, compare=other)
    with pytest.raises(InputError, match=r"patches 3×4, the second 4×3"):
        view(vit, compare=pass_of_layers([random_weights(RNG, 2, 2, 13)] * 2, (4, 3)))
    with pytest.raises(InputError, match="--query 12"):
        view(vit, query=12)


def test_nothing_of_the_pass_is_changed() -> None:
    vit = vit_of()
    before = [layer.attention.values.clone() for layer in vit.layers]
    for view in (attention_layers, all_heads, attention_rollout):
        show(view, vit, query=5)
    assert all(torch.equal(a, b.attention.values) for a, b in zip(before, vit.layers, strict=True))


@pytest.mark.parametrize("view", [attention_layers, all_heads, attention_rollout])
def test_shared_keywords_are_in_the_signature(view) -> None:
    parameters = signature(view).parameters
    shared = signature(map_view).parameters
    for name in MapViewOptions.__annotations__:
        assert parameters[name].kind is Parameter.KEYWORD_ONLY
        assert parameters[name].default == shared[name].default
    assert all(p.kind is not Parameter.VAR_KEYWORD for p in parameters.values())
    with pytest.raises(TypeError, match="'colour'"):
        view(None, colour="red")
