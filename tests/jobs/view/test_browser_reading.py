"""Zoom, window, ruler, planes and comparisons in a browser."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import nn

import fastcam
from fastcam.jobs.view.request import ViewRequest
from fastcam.jobs.view.service import open_service, running
from fastcam.options import Sources
from tests.jobs.view.browser_hands import (
    drag,
    middle,
    pixels,
    point,
    reading,
    shown,
    wait_for,
    wait_for_panes,
)
from tests.jobs.view.sample_rooms import SPACING, loaded, patch_run, save_volume, service_of
from tests.sample_map_stores import image_store, volume_store


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("turned")
    with running(service_of(folder, codes="SRA")) as served:
        yield served


def frame_size(page, number: int = 0) -> tuple[float, float]:
    box = page.locator(".frame").nth(number).bounding_box()
    return box["width"], box["height"]


def test_zoom_and_pan_by_wheel_keys_and_drag(service, new_page) -> None:
    page = new_page(service.address)
    width, height = frame_size(page)
    under = point(page, 0.3, 0.4)
    page.mouse.move(*under)
    page.keyboard.down("Control")
    for _ in range(3):
        page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.wait_for_timeout(100)
    larger = frame_size(page)
    assert larger[0] == pytest.approx(width * 1.2**3, rel=0.01)
    assert point(page, 0.3, 0.4) == pytest.approx(under, abs=2)  # it stays under the pointer
    page.keyboard.press("h")
    x, y = middle(page)
    before = point(page, 0, 0)
    drag(page, (x, y), (x + 60, y - 25))
    after = point(page, 0, 0)
    assert np.subtract(after, before) == pytest.approx((60, -25), abs=1)
    page.keyboard.press("f")
    page.wait_for_timeout(100)
    assert frame_size(page) == pytest.approx((width, height), rel=0.01)


def test_a_picture_has_the_shape_of_the_patient(service, new_page) -> None:
    """Voxels of 1.5 x 0.75 x 3 mm: the picture is as long as the slice is in millimetres."""
    page = new_page(service.address)
    plane = page.evaluate("async () => (await (await fetch('api/case?case=0')).json())")
    own = plane["runs"][0]["planes"]["0"]
    width, height = frame_size(page)
    down, across, between = own["spacing"]
    assert sorted([down, across, between]) == sorted(SPACING)
    assert width / height == pytest.approx(own["width"] * across / (own["height"] * down), rel=0.01)


def wait_for_change(page, name: str, value: str | None) -> None:
    """Until the first picture's parameter is another."""
    page.wait_for_function(
        "([name, value]) => new URLSearchParams(document.querySelector('.pane')"
        ".dataset.address.split('?')[1]).get(name) !== value",
        arg=[name, value],
    )


def test_dragging_sets_the_grey_window(service, new_page) -> None:
    page = new_page(service.address)
    page.get_by_label("Panel", exact=True).first.select_option("image")
    wait_for(page, kind="image")
    before = pixels(page).mean()
    x, y = middle(page)
    drag(page, (x, y), (x, y + 120), button="right")  # downwards is brighter
    wait_for_change(page, "window", None)
    low, high = map(float, shown(page)["window"].split(","))
    assert pixels(page).mean() > before + 5
    width, text = high - low, shown(page)["window"]
    page.keyboard.press("w")
    drag(page, (x, y), (x + 100, y))
    wait_for_change(page, "window", text)
    page.wait_for_timeout(200)
    low, high = map(float, shown(page)["window"].split(","))
    assert high - low == pytest.approx(width * np.exp(0.5), rel=0.05)


def test_the_ruler_measures_millimetres(service, new_page) -> None:
    page = new_page(service.address)
    page.keyboard.press("m")
    drag(page, point(page, 0.2, 0.5), point(page, 0.7, 0.5))
    text = page.locator(".measure").first.text_content()
    facts = page.evaluate("async () => (await (await fetch('api/case?case=0')).json())")
    plane = facts["runs"][0]["planes"]["0"]
    expected = 0.5 * plane["width"] * plane["spacing"][1]
    assert float(re.match(r"([\d.]+) mm", text)[1]) == pytest.approx(expected, abs=0.3)


def test_three_planes_share_a_crosshair(service, new_page) -> None:
    """A click in one plane brings the others to that voxel, which is nibabel's."""
    page = new_page(service.address)
    page.keyboard.press("t")
    wait_for_panes(page, 3)
    page.mouse.click(*point(page, 0.62, 0.41, number=0))
    page.wait_for_selector(".readout[data-reading]")
    page.wait_for_timeout(300)
    said = reading(page)
    z, y, x = said["voxel"]
    for number, index in ((1, y), (2, x)):
        wait_for(page, number, slice=index)
    path = service.room.runs[0].sources.root_dir / "p0.nii.gz"
    assert said["image"] == [loaded(path).get_fdata()[x, y, z]]
    # The lines of the other planes cross at the same voxel.
    for number in (1, 2):
        lines = page.locator(".marks").nth(number).locator("line.cross")
        frame = page.locator(".frame").nth(number).bounding_box()
        across = float(lines.nth(2).get_attribute("x1")) / frame["width"]
        down = float(lines.nth(0).get_attribute("y1")) / frame["height"]
        page.mouse.move(*point(page, across, down, number))
        page.wait_for_timeout(300)
        assert reading(page, number)["voxel"] == said["voxel"]


def test_pictures_fill_their_planes(service, new_page) -> None:
    """They lie in the middle of their panes, as large as fits, also where these have just come."""
    page = new_page(service.address)
    for key, count in (("c", 2), ("t", 3)):
        page.keyboard.press(key)
        wait_for_panes(page, count)
        page.wait_for_timeout(300)
        for number in range(count):
            stage = page.locator(".stage").nth(number).bounding_box()
            frame = page.locator(".frame").nth(number).bounding_box()
            for side, start in (("width", "x"), ("height", "y")):
                room = stage[side] - frame[side]
                assert frame[start] - stage[start] == pytest.approx(room / 2, abs=0.5)
            rooms = [stage[side] - frame[side] for side in ("width", "height")]
            assert min(rooms) == pytest.approx(0, abs=0.5)


def test_the_crosshair_moves_by_keys(service, new_page) -> None:
    page = new_page(service.address)
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_selector(".readout[data-reading]")
    page.wait_for_timeout(200)
    start = reading(page)["voxel"]
    for _ in range(3):
        page.keyboard.press("Shift+ArrowDown")
    page.wait_for_timeout(300)
    moved = np.abs(np.subtract(reading(page)["voxel"], start))
    assert sorted(moved) == [0, 0, 3]


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """A store of maps twice, once with other maps."""
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    rng = np.random.default_rng(5)
    stores = [
        volume_store(folder, maps={"gradcam/features": rng.random((2, 5, 8, 6), np.float32)})
        for folder in folders
    ]
    paths = tuple(store.path for store in stores)
    with running(open_service(ViewRequest(runs=paths, names=("one", "two")))) as served:
        yield served


def test_two_runs_beside_each_other_are_linked(two_runs, new_page) -> None:
    page = new_page(two_runs.address)
    page.keyboard.press("c")
    wait_for_panes(page, 2)
    assert [shown(page, number)["run"] for number in (0, 1)] == ["0", "1"]
    page.mouse.move(*middle(page, 1))
    page.mouse.wheel(0, 100)
    page.wait_for_timeout(200)
    assert shown(page, 0)["slice"] == shown(page, 1)["slice"]
    page.keyboard.press("+")
    page.wait_for_timeout(100)
    assert frame_size(page, 0) == pytest.approx(frame_size(page, 1), rel=0.02)
    ends = [box.split() for box in page.locator(".bar-box").all_inner_texts()]
    assert ends[0] != ends[1]
    page.get_by_label("One scale for all pictures").check()
    wait_for(page, 0, linked="1.0.mean")
    wait_for(page, 1, linked="0.0.mean")
    ends = [box.split() for box in page.locator(".bar-box").all_inner_texts()]
    assert ends[0] == ends[1]


def test_a_difference_and_a_swipe_are_views(two_runs, new_page) -> None:
    page = new_page(two_runs.address)
    page.get_by_label("Panel", exact=True).select_option("difference")
    wait_for(page, kind="difference", other="1.0.mean")
    assert page.locator(".bar-box").inner_text().split() == ["-1.00", "1.00"]
    page.get_by_label("Panel", exact=True).select_option("swipe")
    page.wait_for_selector(".pane[data-under]")
    line = page.get_by_label("Line between the two pictures")
    # The slider lies over nothing that is to be read.
    top = line.bounding_box()["y"]
    for place in (".scale-bar", ".letter.bottom"):
        box = page.locator(place).first.bounding_box()
        assert box["y"] + box["height"] <= top
    line.fill("0.25")
    clip = page.locator(".picture:not(.under)").first.evaluate("node => node.style.clipPath")
    assert "75%" in clip
    page.wait_for_function("() => location.hash.includes('swipe')")
    other = new_page(page.url)
    other.wait_for_selector(".pane[data-under]")
    assert shown(other) == shown(page)


def test_heads_and_layers_are_chosen(tmp_path, new_page) -> None:
    with running(open_service(ViewRequest(runs=(image_store(tmp_path).path,)))) as served:
        page = new_page(served.address)
        names = page.get_by_label("Map", exact=True).locator("option").all_inner_texts()
        assert "gradcam · layer3" in names
        page.get_by_label("Map", exact=True).select_option("attention · blocks.2")
        page.get_by_label("Head").select_option("head 1")
        wait_for(page, head=1)
        page.keyboard.press("ArrowRight")
        wait_for(page, case=1, head=1)
        page.context.close()


def test_a_case_of_one_run_only_says_so(tmp_path, new_page) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    runs = patch_run(tmp_path / "a", ("p0", "p1")), patch_run(tmp_path / "b", ("p1",))
    request = ViewRequest(
        runs=runs, names=("A", "B"), sources=Sources(root_dir=tmp_path / "a" / "images")
    )
    with running(open_service(request)) as served:
        page = new_page(served.address)
        page.keyboard.press("c")
        page.wait_for_selector(".pane-error:visible")
        assert page.locator(".pane-error:visible").inner_text() == "p0: is not in B"
        page.keyboard.press("ArrowRight")
        wait_for(page, 1, case=1)
        page.context.close()


def test_of_some_slices_no_others_are_fetched_ahead(tmp_path, new_page) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    (tmp_path / "images").mkdir()
    save_volume(tmp_path / "images" / "a.nii.gz")
    report = fastcam.infer(
        model, tmp_path / "images", tmp_path / "out", method="gradcam", layers=["1"],
        image_size=16, slices="3-4", mean=0.0, std=1.0,
    )  # fmt: skip
    fetched = []
    with running(open_service(ViewRequest(runs=(report.store,)))) as served:
        page = new_page(served.address)
        page.on("request", lambda request: fetched.append(request.url))
        first = shown(page)["slice"]
        page.locator(".stage").first.hover()
        page.mouse.wheel(0, 100 if first == "3" else -100)
        wait_for(page, slice="4" if first == "3" else "3")
        page.wait_for_timeout(500)  # what is fetched ahead has been asked for
    asked = {url.partition("slice=")[2].partition("&")[0] for url in fetched if "slice=" in url}
    assert asked <= {"3", "4"}
