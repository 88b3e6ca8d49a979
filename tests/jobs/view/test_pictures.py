"""Pictures of the reading room are the panels of figures, to the pixel."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import fastcam
from fastcam.errors import CaseError, InputError
from fastcam.jobs.view.drawing import contour
from fastcam.jobs.view.query import parse_picture
from fastcam.jobs.view.request import ViewRequest
from fastcam.jobs.view.room import Room
from tests.jobs.view.sample_rooms import loaded, map_room, patch_request, stored
from tests.sample_map_stores import image_store


def picture(room: Room, **query) -> np.ndarray:
    texts = {name: str(value) for name, value in query.items()}
    # Unlike room.picture, this waits for a scale over all cases.
    png = room.draw(parse_picture(texts, room.style)).png()
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def within(panel: np.ndarray, figure: Path) -> bool:
    """Whether a figure holds the panel, pixel by pixel."""
    whole = np.asarray(Image.open(figure).convert("RGB"))
    distances = cv2.matchTemplate(whole, panel, cv2.TM_SQDIFF)
    y, x = np.unravel_index(np.argmin(distances), distances.shape)
    return bool((whole[y : y + len(panel), x : x + panel.shape[1]] == panel).all())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> tuple[Path, Path]:
    """A folder with a run of patches, and the folder of its figures."""
    folder = tmp_path_factory.mktemp("drawn")
    request = patch_request(folder)
    out = folder / "out"
    fastcam.render(
        request.runs[0], root_dir=folder / "images", output_dir=out, mode="all_slices",
        panel_size=160, colormap="viridis", heat_alpha=0.4, top_k=2, workers=1, aspect="pixels",
    )  # fmt: skip
    return folder, out


LOOK = {"colormap": "viridis", "alpha": 0.4, "top": 2, "size": 160}


@pytest.mark.parametrize("kind", ["heat", "overlay"])
def test_a_panel_of_patches_is_that_of_the_figure(drawn, kind) -> None:
    _, out = drawn
    room = Room(ViewRequest(runs=(out,)))
    figures = sorted(out.glob("001_p0/slice003*.png"))
    assert within(picture(room, slice=3, kind=kind, **LOOK), figures[0])
    assert not within(picture(room, slice=3, kind=kind, **LOOK)[::-1], figures[0])


def test_an_output_folder_brings_its_images_and_its_look(drawn) -> None:
    folder, out = drawn
    room = Room(ViewRequest(runs=(out,)))
    assert room.runs[0].sources.root_dir == folder / "images"
    plain = picture(room, slice=3)
    assert (plain == picture(room, slice=3, **LOOK)).all()


@pytest.mark.parametrize("scale", ["slice", "patient", "cohort", "rank"])
def test_a_panel_of_maps_is_that_of_the_figure(tmp_path, scale) -> None:
    store = image_store(tmp_path).path
    out = tmp_path / "out"
    fastcam.render(
        store, output_dir=out, methods=["gradcam"], layers=["layer3"], panel_size=128,
        scale=scale, workers=1,
    )  # fmt: skip
    room = Room(ViewRequest(runs=(store,)))
    number = [facts.name for facts in room.runs[0].maps].index("gradcam · layer3")
    (figure,) = out.glob("*a1*.png")
    for kind in ("heat", "overlay"):
        panel = picture(room, case=1, map=number, kind=kind, size=128, scale=scale)
        assert within(panel, figure)


def test_every_layer_and_head_of_attention_can_be_looked_at(tmp_path) -> None:
    room = Room(ViewRequest(runs=(image_store(tmp_path).path,)))
    maps = room.runs[0].maps
    layers = [facts for facts in maps if facts.name.startswith("attention")]
    assert [facts.heads for facts in layers] == [2] * 4
    number = maps.index(layers[1])
    store = stored(room)
    for head in (0, 1):
        reading = room.reading(
            {"case": "2", "map": str(number), "head": str(head), "x": "0.1", "y": "0.1"}
        )
        assert reading["cell"] == pytest.approx(store.map("attention", 2)[1, head, 0, 0])
    mean = room.reading({"case": "2", "map": str(number), "x": "0.1", "y": "0.1"})
    assert mean["cell"] == pytest.approx(store.map("attention", 2)[1, :, 0, 0].mean())
    with pytest.raises(CaseError, match="no head 2"):
        room.picture({"map": str(number), "head": "2"})
    with pytest.raises(CaseError, match="no map 99"):
        room.picture({"map": "99"})


def test_a_window_maps_its_ends_to_black_and_white(tmp_path) -> None:
    """The volume lies as it is shown (LPS): a window of nibabel's slice, enlarged by OpenCV."""
    room = Room(patch_request(tmp_path))
    voxels = loaded(tmp_path / "images" / "p0.nii.gz").get_fdata()[:, :, 3].T
    grey = np.clip(np.floor((voxels + 300) / 600 * 255 + 0.5), 0, 255).astype(np.uint8)
    shown = picture(room, slice=3, kind="image", window="-300,300", size=64)
    expected = cv2.resize(grey, shown.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    assert np.abs(shown[..., 0].astype(int) - expected).max() <= 1
    assert {0, 255} <= set(shown[..., 0].ravel().tolist())


def test_limits_stand_for_the_ends_of_the_table(tmp_path) -> None:
    room = map_room(tmp_path)
    free = room.picture({"slice": "4", "kind": "heat"})
    fixed = room.picture({"slice": "4", "kind": "heat", "limits": "0.4,0.5"})
    assert fixed.limits == (0.4, 0.5)
    assert free.limits != fixed.limits
    jet = cv2.applyColorMap(np.array([[0, 255]], np.uint8), cv2.COLORMAP_JET)[0, :, ::-1]
    ends = {tuple(color) for color in jet.tolist()}
    assert ends <= {tuple(color) for color in fixed.pixels.reshape(-1, 3).tolist()}


def test_the_outline_is_the_edge_of_the_mask() -> None:
    mask = np.zeros((9, 12), np.uint8)
    mask[2:7, 3:10] = 255
    large = np.kron(mask, np.ones((4, 4), np.uint8)) > 0
    core = ndimage.binary_erosion(large, ndimage.generate_binary_structure(2, 1), iterations=1)
    core = ndimage.binary_erosion(core, ndimage.generate_binary_structure(2, 1), iterations=1)
    line = contour(mask, 36, 48)
    assert (line[~large] == 0).all()
    assert (line[large & ~core].sum()) >= 0.95 * (large & ~core).sum()
    assert line[16:20, 20:24].sum() == 0


@pytest.mark.parametrize(
    "query",
    [
        {"slice": "-1"}, {"slice": "x"}, {"alpha": "nan"}, {"alpha": "2"}, {"colormap": "red"},
        {"kind": "all"}, {"axis": "3"}, {"window": "5,1"}, {"window": "1"}, {"limits": "a,b"},
        {"size": "1"}, {"scale": "all"}, {"top": "1e3"}, {"blend": "no"}, {"head": "first"},
    ],
)  # fmt: skip
def test_what_is_no_picture_is_said(tmp_path, query) -> None:
    room = Room(patch_request(tmp_path))
    with pytest.raises(InputError) as raised:
        room.picture(query)
    assert next(iter(query.values())) in str(raised.value) or "too small" in str(raised.value)


def test_what_is_not_there_is_said(tmp_path) -> None:
    room = Room(patch_request(tmp_path))
    for query in ({"slice": "99"}, {"case": "77"}, {"run": "2"}, {"slice": "3", "kind": "mask"}):
        with pytest.raises(CaseError):
            room.picture(query)


def levels(room: Room, **query) -> np.ndarray:
    """The levels of a heat panel, by its colors in a grey table."""
    return picture(room, kind="heat", colormap="gray", **query)[..., 0].astype(int)


def test_a_difference_is_that_of_the_levels_of_the_scales(tmp_path) -> None:
    """In matplotlib's diverging table, over the image, the more the larger it is."""
    room = Room(ViewRequest(runs=(image_store(tmp_path).path,)))
    numbers = [facts.name for facts in room.runs[0].maps]
    first, other = numbers.index("gradcam · layer3"), numbers.index("gradcam · layer4")
    query = {"kind": "difference", "size": "64", "alpha": "1", "map": str(first)}
    drawn = room.picture({**query, "other": f"0.{other}.mean"})
    assert drawn.limits == (-1.0, 1.0)
    assert drawn.colors == "coolwarm"
    apart = levels(room, map=first, size=64) - levels(room, map=other, size=64)
    shown = (apart + 255) // 2
    weight = np.abs(2 * shown / 255 - 1)[..., None]
    colors = matplotlib.colormaps["coolwarm"](shown)[..., :3] * 255
    image = picture(room, kind="image", size=64)
    expected = (1 - weight) * image + weight * colors
    # A grey may be a level off, which is 1 or 2 in the colors and as much in their weight.
    assert np.abs(drawn.pixels - expected).max() <= 4
    assert apart.max() > 100
    assert apart.min() < -100
    same = room.picture({**query, "other": f"0.{first}.mean"})
    assert np.abs(same.pixels.astype(int) - image).max() <= 2  # no difference, no color


def test_linked_pictures_have_one_scale(tmp_path) -> None:
    room = Room(ViewRequest(runs=(image_store(tmp_path).path,)))
    numbers = [facts.name for facts in room.runs[0].maps]
    first, other = numbers.index("gradcam · layer3"), numbers.index("gradcam · layer4")
    free = [
        room.picture({"kind": "heat", "map": str(number)}).limits or (0.0, 0.0)
        for number in (first, other)
    ]
    joined = (min(low for low, _ in free), max(high for _, high in free))
    assert free[0] != free[1]
    for one, two in ((first, other), (other, first)):
        linked = room.picture({"kind": "heat", "map": str(one), "linked": f"0.{two}.mean"})
        assert linked.limits == joined


def test_the_function_draws_what_the_room_shows(tmp_path) -> None:
    request = patch_request(tmp_path)
    room = Room(request)
    look = {"root_dir": tmp_path / "images", "colormap": "magma", "window": (-100, 400)}
    drawn = fastcam.picture(request.runs[0], "p1", aspect="pixels", **look)
    in_mm = fastcam.picture(request.runs[0], "p1", **look)
    # Its pixels are half as high as wide.
    assert 2 * in_mm.pixels.shape[0] == drawn.pixels.shape[0]
    assert (
        drawn.pixels == picture(room, case=1, slice=3, colormap="magma", window="-100,400")
    ).all()
    with pytest.raises(InputError, match="did you mean p1"):
        fastcam.picture(request.runs[0], "p11", root_dir=tmp_path / "images")


@pytest.mark.parametrize("codes", ["LPS", "ASL"])
def test_pictures_across_slices_have_the_shape_in_the_body(tmp_path, codes) -> None:
    request = patch_request(tmp_path, codes=codes)
    image = loaded(tmp_path / "images" / "p0.nii.gz")
    sides = zip(image.shape, image.header.get_zooms(), strict=True)
    extent = [count * step for count, step in sides][::-1]  # z, y, x
    room = Room(request)
    for axis in (0, 1, 2):
        drawn = fastcam.picture(
            request.runs[0], 0, slice=2, axis=axis, root_dir=tmp_path / "images", panel_size=600
        ).pixels
        height, width = drawn.shape[:2]
        plane = room.open(0, 0).planes[axis]
        others = [extent[other] for other in range(3) if other != axis]
        down, across = reversed(others) if plane.display.transpose else others
        assert height / width == pytest.approx(down / across, rel=0.02)
        query = parse_picture({"slice": "2", "axis": str(axis)}, room.style)
        panel = room.panel(query)
        assert (panel.left_side, panel.top_side) == (plane.letters[0], plane.letters[2])
        assert panel.scale_bar[1].endswith(" mm")
