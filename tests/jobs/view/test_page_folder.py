"""Cases as a folder to keep: the figures are those of the run, and the page is whole."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import fastcam
from fastcam.errors import InputError
from fastcam.jobs.view.case_figures import case_figures
from fastcam.jobs.view.page_folder import write_folder
from fastcam.jobs.view.query import parse_picture
from fastcam.jobs.view.request import Judging
from fastcam.jobs.view.room import Room
from fastcam.jobs.view.service import running
from tests.jobs.render.page_cases import cases_of
from tests.jobs.view.sample_rooms import map_room, patch_request, service_of


def written(room: Room, cases, **query) -> zipfile.ZipFile:
    file = io.BytesIO()
    write_folder(room, cases, query, file)
    return zipfile.ZipFile(file)


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def data(folder: zipfile.ZipFile) -> dict:
    page = folder.read("figures/index.html").decode()
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(text)


def test_figures_are_those_that_render_draws(tmp_path) -> None:
    request = patch_request(tmp_path)
    folder = written(Room(request), [2, 0], slices="all", size="96")
    fastcam.render(
        request.runs[0],
        output_dir=tmp_path / "out",
        root_dir=tmp_path / "images",
        mode="all_slices",
        panel_size=96,
    )
    names = sorted(name for name in folder.namelist() if name.endswith(".png"))
    assert names == [
        f"figures/00{place}_{case}/slice00{index}.png"
        for place, case in ((1, "p2"), (2, "p0"))
        for index in (1, 3)
    ]
    for name in names:
        case, number = name[12:14], int(name[-5])
        (own,) = (tmp_path / "out").glob(f"*_{case}/slice00{number}_*.png")
        assert (pixels(folder.read(name)) == pixels(own.read_bytes())).all()
    page = data(folder)
    assert [case["name"] for case in cases_of(page)] == ["p2", "p0"]
    assert all(page["layouts"])  # image and heat can be mixed


def test_one_figure_of_each_case_and_none_of_the_answer(tmp_path) -> None:
    room = Room(patch_request(tmp_path, judging=Judging(blind=True)))
    (tmp_path / "images" / "p1.nii.gz").unlink()
    folder = written(room, [0, 1, 2])
    assert [name for name in folder.namelist() if name.endswith(".png")] == [
        "figures/001_p0_slice3.png", "figures/003_p2_slice3.png"
    ]  # fmt: skip
    page = folder.read("figures/index.html").decode()
    assert "predicted right" not in page
    assert "<td>p1<td>" in page  # among the failures
    told = {(case["label"], case["prediction"], case["right"]) for case in cases_of(data(folder))}
    assert told == {("", "", None)}


@pytest.mark.parametrize("kind", ["patches", "maps"])
def test_figures_of_a_blind_room_have_no_answer(tmp_path, kind) -> None:
    request = patch_request(tmp_path) if kind == "patches" else map_room(tmp_path).request
    seen = Room(request)
    blind = Room(replace(request, judging=Judging(blind=True)))
    look = parse_picture({}, seen.style)
    (told,) = case_figures(seen, 0, 0, look, every_slice=False)
    (silent,) = case_figures(blind, 0, 0, look, every_slice=False)
    assert "predicted" in told.sheet.verdict
    texts = [silent.sheet.title, silent.sheet.verdict, silent.sheet.note]
    texts += [panel.caption for row in silent.sheet.rows for panel in row]
    for word in ("predicted", "true", "correct", "wrong", "target", "confidence"):
        assert not any(word in text for text in texts)


def test_maps_have_a_page_too(tmp_path) -> None:
    room = map_room(tmp_path)
    folder = written(room, [0], slices="all")
    (case,) = cases_of(data(folder))
    paths = {f"figures/{path}" for _, _, path, _ in case["figures"]}
    assert paths == {*folder.namelist()} - {"figures/index.html"}


def test_too_many_are_refused(tmp_path, monkeypatch) -> None:
    room = Room(patch_request(tmp_path))
    monkeypatch.setattr("fastcam.jobs.view.page_folder.MOST_FIGURES", 3)
    with pytest.raises(InputError, match="more than 3 figures"):
        written(room, [0, 1], slices="all")
    with pytest.raises(InputError, match="0 cases"):
        written(room, [])
    with pytest.raises(InputError, match="use best or all"):
        written(room, [0], slices="none")


def test_by_hand(tmp_path, new_page) -> None:
    with running(service_of(tmp_path)) as served:
        page = new_page(served.address)
        page.get_by_label("Search in names and texts").fill("p1")
        page.wait_for_function("() => document.querySelectorAll('.table-row').length === 1")
        page.get_by_label("Slices of the page").select_option("all")
        with page.expect_download() as download:
            page.get_by_role("button", name="Page", exact=True).click()
        folder = zipfile.ZipFile(download.value.path())
        assert download.value.suggested_filename == "figures.zip"
        assert {name.split("/")[1] for name in folder.namelist()} == {"001_p1", "index.html"}
        folder.extractall(tmp_path / "taken")
        kept = page.context.new_page()
        kept.goto((tmp_path / "taken" / "figures" / "index.html").as_uri())
        assert kept.locator(".card h2").all_inner_texts() == ["p1"]
        kept.wait_for_function("() => document.querySelector('.card img').naturalWidth > 0")
        page.close()
