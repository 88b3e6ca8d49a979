"""The reading room in a browser, by the hands of a person."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from urllib.parse import unquote

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from fastcam.jobs.view.request import ViewRequest
from fastcam.jobs.view.service import open_service, running
from fastcam.options import Sources, Style
from tests.jobs.view.browser_hands import (
    middle,
    pixels,
    point,
    reading,
    shown,
    wait_for,
    wait_for_panes,
)
from tests.jobs.view.sample_rooms import ask, patch_request, service_of
from tests.sample_runs import make_case, make_store

HOSTILE = '<img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    names = ("p0", "p1", HOSTILE)
    with running(service_of(tmp_path_factory.mktemp("room"), names=names)) as served:
        yield served


def test_the_best_slice_is_shown_and_the_wheel_turns(service, new_page) -> None:
    page = new_page(service.address)
    assert shown(page)["slice"] == "3"
    page.mouse.move(*middle(page))
    page.mouse.wheel(0, 100)
    wait_for(page, slice=4)
    _, _, png = ask(service, "api/picture", shown(page))
    assert (pixels(page) == np.asarray(Image.open(io.BytesIO(png)))).all()
    for _ in range(9):
        page.mouse.wheel(0, 100)
    wait_for(page, slice=6)  # the last one
    page.mouse.wheel(0, -100)
    wait_for(page, slice=5)
    assert page.evaluate("window.fastcamTimings.length") > 3


def test_keys_go_through_slices_and_cases(service, new_page) -> None:
    page = new_page(service.address)
    page.keyboard.press("ArrowDown")
    wait_for(page, slice=4)
    page.keyboard.press("ArrowRight")
    wait_for(page, case=1, slice=3)
    page.keyboard.press("PageUp")
    wait_for(page, slice=0)
    page.keyboard.press("g")
    wait_for(page, slice=3)
    page.keyboard.press("ArrowLeft")
    wait_for(page, case=0)


def test_a_name_is_text_whatever_it_is_called(service, new_page) -> None:
    page = new_page(service.address)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("name => document.querySelector('#title').textContent === name",
                           arg=HOSTILE)  # fmt: skip
    assert page.locator("img[src=x]").count() == 0
    assert page.title() == f"{HOSTILE} · fastcam"


def test_look_follows_its_form(service, new_page) -> None:
    page = new_page(service.address)
    before = pixels(page)
    page.get_by_role("slider", name="Heat").fill("0.9")
    wait_for(page, alpha="0.9")
    assert (pixels(page) != before).any()
    page.get_by_label("Colors").select_option("viridis")
    wait_for(page, colormap="viridis")
    page.get_by_label("Scale of").select_option("rank")
    wait_for(page, scale="rank")
    assert page.locator(".bar-box").inner_text().split() == ["0", "1.00", "rank"]
    page.get_by_role("slider", name="Boxes").fill("0")
    wait_for(page, top="0")
    page.get_by_label("From – to, low").fill("0.1")
    page.get_by_label("From – to, high").fill("0.3")
    page.get_by_label("From – to, high").press("Enter")
    wait_for(page, limits="0.1,0.3")
    page.get_by_role("button", name="As at the start").click()
    wait_for(page, alpha="0.5", colormap="jet")
    page.wait_for_timeout(50)
    assert (pixels(page) == before).all()


def test_what_a_figure_says_of_a_picture_stands_above_it(service, new_page) -> None:
    page = new_page(service.address)
    caption = page.locator(".pane-caption")
    assert "color scale: per patient; overlay" in caption.inner_text()
    assert page.locator(".bar-box").inner_text().split()[-1] == "weight"
    page.get_by_label("Panel", exact=True).first.select_option("image")
    wait_for(page, kind="image")
    assert caption.inner_text().startswith("slice")


def test_a_phone_shows_which_case_it_is_and_the_close_button_of_each_picture(
    service, new_page
) -> None:
    page = new_page(service.address, 390, 844)
    title = page.locator("#title").bounding_box()
    assert title["width"] > 100
    assert page.locator("#verdict").is_visible()
    for _ in range(2):
        page.get_by_role("button", name="Compare").click()
    wait_for_panes(page, 3)
    for width in (390, 1400):
        page.set_viewport_size({"width": width, "height": 844})
        for number in range(3):
            box = page.get_by_label(f"Close picture {number + 1}").bounding_box()
            pane = page.locator(".pane").nth(number).bounding_box()
            assert pane["x"] <= box["x"]
            assert box["x"] + box["width"] <= pane["x"] + pane["width"]


LONG = "a_name_that_is_rather_long_as_of_a_hospital_0010"


@pytest.mark.parametrize("runs", [1, 2])
def test_long_names_and_what_is_known_of_a_case_are_whole(tmp_path, new_page, runs: int) -> None:
    """Also in the frame of a notebook, which is 950 pixels wide."""
    style = Style(class_names=("Stable disease", "Unstable disease"))
    request = patch_request(tmp_path, names=("p0", LONG), style=style)
    names = ("resnet50", "vit_small_of_march")[:runs] if runs > 1 else ()
    request = replace(request, runs=request.runs * runs, names=names)
    with running(open_service(request)) as served:
        page = new_page(served.address)
        page.keyboard.press("ArrowRight")
        page.wait_for_function("name => document.querySelector('#title').textContent === name",
                               arg=LONG)  # fmt: skip
        for width, height in ((1400, 900), (1200, 800), (950, 760), (800, 760), (390, 844)):
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(100)
            for name in ("title", "verdict"):
                cut = page.locator(f"#{name}").evaluate(
                    "node => [node.scrollWidth - node.clientWidth,"
                    " node.scrollHeight - node.clientHeight]"
                )
                assert max(cut) <= 1, (width, name, cut)
            boxes = [
                page.locator(place).first.bounding_box()
                for place in ("#title", "#verdict", "#toolbar", "#planes", "#compare", "nav")
            ]
            for number, one in enumerate(boxes):
                assert one["x"] >= 0
                assert one["x"] + one["width"] <= width
                for other in boxes[number + 1 :]:
                    aside = one["x"] + one["width"] <= other["x"] + 1
                    aside |= other["x"] + other["width"] <= one["x"] + 1
                    above = one["y"] + one["height"] <= other["y"] + 1
                    above |= other["y"] + other["height"] <= one["y"] + 1
                    assert aside or above, (width, one, other)
        page.context.close()


def test_small_pictures_have_their_slices_number_whole(tmp_path, new_page) -> None:
    rng = np.random.default_rng(0)
    case = make_case(
        1,
        "p0",
        slices=list(range(95, 130)),
        weights=rng.random(35).tolist(),
        boxes=[[1, 2, 7, 9]] * 35,
    )
    (tmp_path / "images").mkdir()
    voxels = rng.integers(0, 99, (20, 16, 140)).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "images" / "p0.nii.gz")
    runs = (make_store(tmp_path, case).path,)
    request = ViewRequest(runs=runs, sources=Sources(root_dir=tmp_path / "images"))
    with running(open_service(request)) as served:
        page = new_page(served.address)
        texts = page.locator("#strip .small span")
        texts.first.wait_for()
        assert texts.last.inner_text().startswith("slice 1")
        cut = texts.evaluate_all("nodes => nodes.map((n) => n.scrollWidth - n.clientWidth)")
        assert max(cut) <= 0
        page.context.close()


def test_the_address_carries_the_view(service, new_page) -> None:
    page = new_page(service.address)
    page.keyboard.press("ArrowRight")
    wait_for(page, case=1)
    page.keyboard.press("ArrowDown")
    page.get_by_label("Colors").select_option("magma")
    page.get_by_label("Panel", exact=True).first.select_option("heat")
    wait_for(page, kind="heat", colormap="magma", slice=4)
    page.keyboard.press("+")
    page.wait_for_function("() => location.hash.includes('zoom') && location.hash.includes('heat')")
    other = new_page(page.url)
    wait_for(other, case=1, kind="heat", colormap="magma", slice=4)
    assert shown(other) == shown(page)
    assert (pixels(other) == pixels(page)).all()
    assert "case=p1" in unquote(other.url)


def test_the_table_sorts_and_filters(service, new_page) -> None:
    page = new_page(service.address)
    rows = page.locator(".table-row")
    assert rows.count() == 3
    page.get_by_label("Search in names and texts").fill("p1")
    page.wait_for_function("() => document.querySelectorAll('.table-row').length === 1")
    assert page.locator("#count").inner_text() == "1 of 3 cases"
    page.get_by_label("Search in names and texts").fill("")
    head = page.locator("#table-head button").first
    head.click()
    head.click()
    assert rows.first.inner_text().startswith("p1")
    rows.first.click()
    wait_for(page, case=1)


def test_a_reading_is_what_lies_under_the_pointer(service, new_page) -> None:
    page = new_page(service.address)
    page.mouse.move(*point(page, 0.33, 0.61))
    page.wait_for_selector(".readout[data-reading]")
    page.wait_for_timeout(200)
    query = {**shown(page), "x": 0.33, "y": 0.61}
    _, _, content = ask(service, "api/reading", query)
    assert reading(page) == json.loads(content)
    image = reading(page)["image"][0]
    assert f"image {image:g}" in page.locator(".readout").first.inner_text()


def test_the_columns_of_the_table_are_whole(tmp_path, new_page) -> None:
    """Name, true and predicted class, right or wrong, confidence, also of long names and two runs;
    on small screens the table scrolls."""
    style = Style(class_names=("Stable", "Unstable"))
    request = patch_request(tmp_path, names=("p0", "patient_000123"), style=style)
    for runs in (request.runs, request.runs * 2):
        names = ("resnet", "vit")[: len(runs)] if len(runs) > 1 else ()
        with running(open_service(replace(request, runs=runs, names=names))) as served:
            page = new_page(served.address)
            for width, height in ((1400, 900), (1000, 800), (390, 844)):
                page.set_viewport_size({"width": width, "height": height})
                if width == 390:
                    page.get_by_role("button", name="Cases").click()
                cells = page.locator("#table-head button, .table-row .cell")
                shown = cells.evaluate_all(
                    "nodes => nodes.map((node) => [node.textContent, node.scrollWidth,"
                    " node.clientWidth, node.getBoundingClientRect().right])"
                )
                assert {"id", "label", "Unstable", "0.9000"} < {text for text, *_ in shown}
                assert not [text for text, needed, has, _ in shown if needed > has]
                edge = page.locator("#table").evaluate("node => node.scrollWidth")
                assert max(right for *_, right in shown) <= edge + 1
                if width == 1400:  # at once in sight
                    assert edge <= page.locator("#cases").bounding_box()["width"]
            page.context.close()


def test_keys_work_after_the_line_of_python_was_copied(service, new_page) -> None:
    page = new_page(service.address)
    page.get_by_role("button", name="Python").click()
    page.wait_for_selector("#take textarea:visible")
    page.keyboard.press("ArrowDown")
    wait_for(page, slice=4)
    page.keyboard.press("n")
    page.keyboard.type("t1")  # a note is text
    assert page.locator("#panes").get_attribute("data-count") == "1"
