"""Judgements by hand: saved at once, gone on with later, with a region, blind."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from fastcam.jobs.view.request import Judging, Sharing
from fastcam.jobs.view.review_file import read_review
from fastcam.jobs.view.service import open_service, running
from tests.jobs.view.browser_hands import drag, point, wait_for
from tests.jobs.view.sample_rooms import patch_request, service_of


@pytest.fixture
def review(tmp_path):
    return tmp_path / "review-ann.tsv"


@pytest.fixture
def service(tmp_path):
    judging = Judging(reader="ann", marks=("good", "artefact", "wrong side"))
    with running(service_of(tmp_path, judging=judging)) as served:
        yield served


def saved(page) -> None:
    page.wait_for_function("() => document.querySelector('#judge').innerText.includes('saved in')")


def test_a_key_marks_and_it_is_on_disk(service, review, new_page) -> None:
    page = new_page(service.address)
    page.keyboard.press("2")
    saved(page)
    (judgement,) = read_review(review)
    assert (judgement.case, judgement.mark, judgement.reader) == ("p0", "artefact", "ann")
    assert (judgement.slice, judgement.method) == ("3", "attention")
    assert judgement.run == review.parent.name  # run.zarr would say nothing
    pressed = page.locator(".marks-row button[aria-pressed=true]")
    assert pressed.inner_text().endswith("artefact")
    page.keyboard.press("n")
    page.keyboard.type("seen <b>twice</b>\tand 1")
    page.keyboard.press("Escape")
    page.wait_for_timeout(300)
    assert read_review(review)[-1].note == "seen <b>twice</b>\tand 1"
    assert read_review(review)[-1].mark == "artefact"
    page.keyboard.press("2")  # once more takes it back
    page.wait_for_function("() => !document.querySelector('.marks-row [aria-pressed=true]')")
    assert read_review(review)[-1].mark == ""


def test_a_review_goes_on_where_it_was_left(service, review, new_page) -> None:
    page = new_page(service.address)
    page.get_by_label("Next case after a mark").check()
    page.keyboard.press("1")
    wait_for(page, case=1)
    page.keyboard.press("3")
    wait_for(page, case=2)
    page.context.close()  # as a browser that is closed
    again = new_page(service.address)
    wait_for(again, case=2)
    assert again.locator(".table-row.judged").count() == 2
    assert "2 of 3 cases" in again.locator("#judge-title").inner_text()
    again.keyboard.press("ArrowLeft")
    wait_for(again, case=1)
    assert again.locator(".marks-row button[aria-pressed=true]").inner_text().endswith("wrong side")


def test_a_box_and_a_lasso_go_with_the_mark(service, review, new_page) -> None:
    """LPS: what is shown is the slice as it lies, 20 pixels wide and 16 high."""
    page = new_page(service.address)
    page.keyboard.press("x")
    drag(page, point(page, 0.26, 0.26), point(page, 0.61, 0.51))
    page.keyboard.press("1")
    saved(page)
    assert read_review(review)[-1].region == "box 5,4 13,9"
    page.keyboard.press("l")
    corners = [(0.12, 0.12), (0.52, 0.12), (0.52, 0.82), (0.12, 0.82)]
    page.mouse.move(*point(page, *corners[0]))
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*point(page, *corner), steps=2)
    page.mouse.up()
    page.wait_for_timeout(400)
    region = read_review(review)[-1].region
    assert re.fullmatch(r"lasso( \d+,\d+)+", region)
    points = set(region.split()[1:])
    assert {"2,1", "10,1", "10,13", "2,13"} <= points
    assert read_review(review)[-1].mark == "good"


def test_a_box_by_the_keyboard_alone(service, review, new_page) -> None:
    page = new_page(service.address)
    page.keyboard.press("x")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.press("1")
    saved(page)
    corners = re.findall(r"\d+", read_review(review)[-1].region)
    x1, y1, x2, y2 = map(int, corners)
    assert (x2 - x1, y2 - y1) == (4, 2)


def test_a_judgement_that_cannot_be_written_is_not_called_saved(tmp_path, new_page) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    judging = Judging(file=folder / "review.tsv")
    with running(service_of(tmp_path, judging=judging)) as served:
        page = new_page(served.address, errors=True)
        folder.rmdir()
        folder.write_text("")
        page.keyboard.press("1")
        page.wait_for_function(
            "() => document.querySelector('#judge').innerText.includes('NOT SAVED')"
        )
        assert page.locator(".marks-row button[aria-pressed=true]").count() == 0
        page.context.close()


def test_a_server_that_has_ended_is_said(tmp_path, new_page) -> None:
    request = patch_request(tmp_path)
    with running(open_service(request)) as served:
        page = new_page(served.address, errors=True)
        page.keyboard.press("1")
        saved(page)
        again = replace(request, sharing=Sharing(port=served.port))  # with a token of its own
    with running(open_service(again)):
        page.keyboard.press("2")
        page.get_by_text("NOT SAVED: this address is of an earlier fastcam view").wait_for()
    page.keyboard.press("3")
    page.get_by_text("NOT SAVED: the server doesn't answer").wait_for()
    assert page.locator(".marks-row button[aria-pressed=true]").inner_text() == "1"
    page.context.close()


def test_a_blind_reader_sees_no_answer(tmp_path, new_page) -> None:
    with running(service_of(tmp_path, judging=Judging(blind=True))) as served:
        page = new_page(served.address)
        text = page.locator("body").inner_text()
        for word in ("correct", "predicted", "true 1", "0.9"):
            assert word not in text
        assert page.locator(".pane-caption").inner_text() == ""
        page.context.close()
