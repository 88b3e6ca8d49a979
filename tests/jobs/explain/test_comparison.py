"""Figures of explanations, panel by panel, against a slow painting with OpenCV."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from fastcam.errors import InputError
from fastcam.figures.map_figure import DIVERGING_TABLE
from fastcam.jobs.explain.comparison import Comparison, compare
from fastcam.jobs.explain.results import MapFacts, Patches

from ...figures.expected_pixels import JET
from ..vit.passes import sheet_and_panels
from .samples import PICTURES, RNG, SIDE, attention, cam, explanation, reconstruction

# Raw values from the lowest to the highest; multiples of uniform have their own test.
STYLE: dict[str, Any] = {"panel_size": SIDE, "heat_alpha": 0.4, "style": "classic"}
# One level of heat is at most so much of a colour of JET, and rounding is added to it.
STEP = 5


def slow(
    cells: np.ndarray, low: float, high: float, picture: np.ndarray, table: np.ndarray = JET
) -> tuple[np.ndarray, np.ndarray]:
    """Heat and overlay of a map whose limits are known."""
    height, width = picture.shape[:2]
    large = cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR)
    level = np.clip(np.rint(255 * (large - low) / (high - low)), 0, 255).astype(int)
    heat = table[level].astype(float)
    return heat, 0.6 * picture + 0.4 * heat


def combined(results: Any, labels: Any = ("",), **more: Any) -> tuple[Any, Any]:
    several = Comparison(tuple(results), tuple(labels))
    return sheet_and_panels(several.figure, more.pop("index", 0), **more, **STYLE)


def test_image_heat_and_overlay_are_what_opencv_paints() -> None:
    one = explanation({"layer4": cam("layer4")})
    sheet, [(image, heat, overlay)] = combined([one], index=1)
    cells = one.maps["layer4"][1]
    wanted = slow(cells, cells.min(), cells.max(), PICTURES[1])
    assert np.array_equal(image, PICTURES[1])
    assert np.abs(heat - wanted[0]).max() <= STEP
    assert np.abs(overlay - wanted[1]).max() <= 0.4 * STEP + 1
    assert sheet.title == "second"
    assert sheet.verdict == "predicted 0  ·  confidence 0.5000"
    captions = [panel.caption for panel in sheet.rows[0]]
    assert captions == ["image", "gradcam · layer4, own scale", "overlay"]


def test_models_side_by_side_have_one_scale() -> None:
    first = explanation({"layer4": cam("layer4")})
    second = explanation({"layer4": cam("layer4", 5.0)})
    sheet, [panels] = combined([first, second], ("before", "after"))
    both = np.stack([first.maps["layer4"][0], second.maps["layer4"][0]])
    for at, cells in enumerate(both):
        heat, overlay = slow(cells, both.min(), both.max(), PICTURES[0])
        assert np.abs(panels[1 + at] - heat).max() <= STEP
        assert np.abs(panels[3 + at] - overlay).max() <= 0.4 * STEP + 1
    limits = [panel.limits for panel in sheet.rows[0][1:]]
    assert limits == [(both.min(), both.max())] * 4
    captions = [panel.caption for panel in sheet.rows[0]]
    assert captions == [
        "image",
        "before · gradcam · layer4, shared scale",
        "after · gradcam · layer4, shared scale",
        "overlay · before · gradcam · layer4",
        "overlay · after · gradcam · layer4",
    ]
    assert sheet.verdict.startswith("before: predicted 1")


def limits_of(sheet: Any) -> list[tuple[float, float]]:
    return [row[1].limits for row in sheet.rows]


@pytest.mark.parametrize(
    ("scale", "groups"),
    [
        ("auto", [[0], [1], [2, 3], [4]]),  # layers of a CAM differ in unit, attention doesn't
        ("shared", [[0, 1], [2, 3], [4]]),
        ("each", [[0], [1], [2], [3], [4]]),
    ],
)
def test_which_rows_share_a_scale(scale: str, groups: list[list[int]]) -> None:
    one = explanation(
        {
            "gradcam/layer3": cam("layer3", 0.1),
            "gradcam/layer4": cam("layer4"),
            "attention": attention(("a", "b")),
            "rollout": (MapFacts("rollout"), RNG.random((2, 6, 8))),
        }
    )
    maps = [one.maps["gradcam/layer3"][0], one.maps["gradcam/layer4"][0]]
    maps += [layer.mean(axis=0) for layer in one.maps["attention"][0]]
    maps += [one.maps["rollout"][0]]
    sheet, _ = combined([one], scale=scale)
    for group in groups:
        values = np.concatenate([maps[row].ravel() for row in group])
        for row in group:
            assert limits_of(sheet)[row] == (values.min(), values.max())
            said = "shared scale" if len(group) > 1 else "own scale"
            assert sheet.rows[row][1].caption.endswith(said)


def test_classes_of_a_cam_share_a_scale() -> None:
    maps = RNG.random((2, 2, 3, 4), np.float32)
    one = explanation({"layer4": (MapFacts("gradcam", "layer4"), maps)}, np.array([[0, 1], [1, 0]]))
    sheet, _ = combined([one], index=1)
    assert [row[1].caption for row in sheet.rows] == [
        "gradcam · layer4 · class 1, shared scale",
        "gradcam · layer4 · class 0, shared scale",
    ]
    assert limits_of(sheet) == [(maps[1].min(), maps[1].max())] * 2


def test_heads_and_layers_of_attention() -> None:
    one = explanation({"attention": attention(("blocks.0", "blocks.1"), explicit=False)})
    sheet, [[_, heat, _]] = combined([one], head=2)
    assert sheet.rows[0][1].caption == "attention · blocks.1 · head 2, own scale"
    cells = one.maps["attention"][0, 1, 2]
    assert np.abs(heat - slow(cells, cells.min(), cells.max(), PICTURES[0])[0]).max() <= STEP
    with pytest.raises(InputError, match="attention has 3 heads; use 0 to 2, or mean"):
        one.figure(0, head=3)


def test_attention_in_windows_beside_a_class_token_is_left_to_its_method() -> None:
    maps = {
        "stage1": attention(("cls",), False),
        "stage2": attention(("w",), False, note="windows"),
    }
    sheet, _ = combined([explanation(maps)])
    assert [row[1].caption for row in sheet.rows] == ["attention · cls · mean of heads, own scale"]


def test_a_volume_shows_the_middle_of_its_map() -> None:
    volume = RNG.random((2, 4, 3, 4), np.float32)
    one = explanation({"a": (MapFacts("gradcam", "a"), volume)}, dims=3)
    _, [[_, heat, _]] = combined([one])
    middle = (volume[0, 1] + volume[0, 2]) / 2
    assert np.abs(heat - slow(middle, middle.min(), middle.max(), PICTURES[0])[0]).max() <= STEP


@pytest.mark.parametrize("shots", [1, 2])
def test_reconstruction_lies_on_the_support_and_its_error_on_the_query(shots: int) -> None:
    one = explanation({}, reconstruction=reconstruction(shots))
    sheet, panels = combined([one])
    assert len(panels) == 2 * shots
    classes = one.reconstruction.classes
    largest = max(np.abs(found.received[0]).max() for found in classes.values())
    errors = np.stack([found.error[0] for found in classes.values()])
    table = np.asarray(_diverging())
    for at, found in enumerate(classes.values()):
        row = panels[at * shots]
        heat, overlay = slow(found.received[0, 0], -largest, largest, found.pictures[0], table)
        assert np.array_equal(row[0], found.pictures[0])
        assert np.abs(row[1] - heat).max() <= STEP
        assert np.abs(row[2] - overlay).max() <= 0.4 * STEP + 1
        heat, _ = slow(found.error[0], errors.min(), errors.max(), PICTURES[0])
        assert np.array_equal(row[3], PICTURES[0])
        assert np.abs(row[4] - heat).max() <= STEP
        assert sheet.rows[at * shots][1].limits == pytest.approx((-largest, largest))
        assert len(panels[at * shots]) == 6
        for place, others in enumerate(panels[at * shots + 1 : (at + 1) * shots], 1):
            picture, cells = found.pictures[place], found.received[0, place]
            heat, _ = slow(cells, -largest, largest, picture, table)
            assert np.array_equal(others[0], picture)
            assert np.abs(others[1] - heat).max() <= STEP
            assert len(others) == 3
    assert sheet.verdict == "nearest class benign  ·  confidence 0.9000"


def _diverging() -> Any:
    from fastcam_kernels import colormap

    return colormap.table(DIVERGING_TABLE)


def test_the_place_that_asks_is_outlined_on_the_query() -> None:
    one = explanation({}, reconstruction=reconstruction(places=((1, 2), (0, 0))))
    sheet, _ = combined([one])
    support, heat, _, query, error, overlay = sheet.rows[0]
    assert heat.caption == "benign: mass from the mark, shared scale"
    for panel in (query, error, overlay):  # cells of 12 pixels, framed from outside
        assert panel.outlines.boxes[0].tolist() == [22, 10, 38, 26]
    assert len(support.outlines.boxes) == len(heat.outlines.boxes) == 0


def test_weights_that_a_softmax_made_are_not_signed() -> None:
    one = explanation({}, reconstruction=reconstruction(signed=False))
    sheet, _ = combined([one])
    values = np.stack([c.received[0] for c in one.reconstruction.classes.values()])
    assert sheet.rows[0][1].limits == (values.min(), values.max())


def test_file_names(tmp_path) -> None:
    maps = {
        "gradcam++/layer4": cam("layer4", method="gradcam++"),
        "attention": attention(("a",)),
        "channel": (MapFacts("channel", "", ("m",)), RNG.random((2, 1, 1, 3, 4))),
    }
    one = explanation(
        maps,
        reconstruction=reconstruction(),
        gates={"m": RNG.random((2, 30), np.float32)},
        patches=Patches((3, 4), (12, 12), (36, 48), 1),
    )
    written = one.save(tmp_path / "out", panel_size=SIDE)
    assert [path.name for path in written] == [
        "first_explained.png",
        "gradcam_plus_plus_heatmap.png",
        "gradcam_plus_plus_overlay.png",
        "patch_attention_heatmap.png",
        "patch_attention_overlay.png",
        "channel_heatmap.png",
        "channel_overlay.png",
        "reconstruction_heatmap.png",
        "reconstruction_overlay.png",
        "channel_bars.png",
        "patch_grid.png",
    ]
    assert sorted(written) == sorted((tmp_path / "out").iterdir())
    first = np.asarray(Image.open(written[0]))
    assert np.array_equal(first, one.figure(panel_size=SIDE).pixels)
    for name in ("a.pdf", "b.PNG"):
        with pytest.raises(
            InputError, match=rf'{name}: .* give a folder.*figure\(\)\.save\("{name}'
        ):
            one.save(tmp_path / name, panel_size=SIDE)
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("maps", "said"),
    [
        ({}, "at least one map"),
        ({"a": (MapFacts("gradcam", "a"), np.full((2, 3, 4), np.nan))}, "gradcam · a holds NaN"),
    ],
)
def test_maps_that_cannot_be_drawn(tmp_path, maps: Any, said: str) -> None:
    one = explanation(maps)
    with pytest.raises(InputError, match=said):
        one.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_compared() -> None:
    one = explanation({"layer4": cam("layer4")})
    other = explanation({"layer4": cam("layer4")})
    object.__setattr__(other, "names", ("first", "third"))
    with pytest.raises(InputError, match="same images"):
        compare({"a": one, "b": other})
    with pytest.raises(InputError, match="nothing to compare"):
        compare({})
    with pytest.raises(InputError, match="--scale 'patient' is not known"):
        one.figure(scale="patient")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="figure 2: there are 2 images"):
        one.figure(2)


def test_a_model_that_has_more_rows_than_the_other() -> None:
    first = explanation({"gradcam/a": cam("a"), "attention": attention(("x",))})
    second = explanation({"gradcam/a": cam("a")})
    sheet, _ = combined([first, second], ("A", "B"))
    assert [len(row) for row in sheet.rows] == [5, 3]


def test_attention_of_layers_is_in_multiples_of_its_own_uniform_with_the_same_ends() -> None:
    one = explanation({"attention": attention(("a", "b"))})
    look = {**STYLE, "style": "standard"}
    sheet, _ = sheet_and_panels(one.figure, 0, **look)
    maps = [layer.mean(axis=0) for layer in one.maps["attention"][0]]
    means = [float(cells.astype(np.float64).mean()) for cells in maps]
    high = max(2.0, max(cells.max() / mean for cells, mean in zip(maps, means, strict=True)))
    for row, mean in zip(sheet.rows, means, strict=True):
        assert row[1].limits == pytest.approx((0.0, high * mean))
        assert row[1].bar_unit == pytest.approx(mean)
        assert row[1].bar_caption == "× uniform"


def test_a_map_of_both_signs_has_zero_in_the_middle() -> None:
    values = RNG.normal(size=(2, 3, 4)).astype(np.float32)
    one = explanation({"layer4": (MapFacts("eigencam", "layer4"), values)})
    largest = np.abs(values[0]).max()
    for style, limits in [
        ("standard", (-largest, largest)),
        ("classic", (values[0].min(), values[0].max())),
    ]:
        sheet, _ = sheet_and_panels(one.figure, 0, **{**STYLE, "style": style})
        assert sheet.rows[0][1].limits == pytest.approx(limits)
        assert sheet.rows[0][1].bar_zero == (style == "standard")
