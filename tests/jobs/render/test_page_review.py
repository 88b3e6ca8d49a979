"""Marks and notes on the page of figures, by hand in a browser, and their file in ``fastcam``."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastcam.jobs.render.gallery_content import Gallery, GalleryCase, GalleryFigure
from fastcam.jobs.render.page import page_html
from fastcam.jobs.view.review_file import latest, read_review

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NAMES = ["=1+1", "b\\x41\tc", "plain 患者"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    cases = tuple(
        GalleryCase(
            place=place,
            name=name,
            true_label=0,
            predicted_label=place % 2,
            correct=place % 2 == 0,
            confidence=math.nan,
            highest=0.5,
            figures=(GalleryFigure("x.png", 4, True, 0.5),),
        )
        for place, name in enumerate(NAMES, 1)
    )
    gallery = Gallery(
        title="t", status="finished", settings={}, available=3, cases=cases, run="figures"
    )
    (tmp_path / "index.html").write_text(page_html(gallery), encoding="utf-8")
    return tmp_path


@pytest.fixture
def context() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_context(accept_downloads=True)
        browser.close()


def opened(context: Any, folder: Path, address: str = "") -> tuple[Any, list[str]]:
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((folder / "index.html").as_uri() + address)
    page.wait_for_selector(".card, #found:not(:empty)", state="attached")
    return page, complaints


def test_marks_are_kept_saved_and_loaded_again(context: Any, folder: Path, tmp_path: Path) -> None:
    page, complaints = opened(context, folder, "#1/4")
    looks = [
        page.locator(place).first.evaluate(
            "node => [getComputedStyle(node).borderRadius, getComputedStyle(node).borderTopColor]"
        )
        for place in ("#find", "#note", "#reader", "#marks button")
    ]
    assert len({tuple(look) for look in looks}) == 1  # controls of one kind
    page.fill("#reader", "anna")
    page.fill("#note", "12345 is no mark")
    page.keyboard.press("Tab")
    page.locator("#large-file").focus()
    page.keyboard.press("3")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("2")
    page.keyboard.press("5")
    page.locator('#marks [value="5"]').click()  # taken back
    page.keyboard.press("ArrowRight")
    page.fill("#note", "-note of <b>")
    page.keyboard.press("Escape")
    page.wait_for_selector("#large:not([open])", state="attached")
    page.wait_for_selector(".judged:has-text('note of')")
    assert page.locator(".judged").all_inner_texts() == [
        "mark 3 · 12345 is no mark",
        "",
        "-note of <b>",
    ]
    with page.expect_download() as download:
        page.click("#save-review")
    saved = tmp_path / "saved" / "review.tsv"
    download.value.save_as(saved)

    judgements = read_review(saved)
    assert {judgement.reader for judgement in judgements} == {"anna"}
    assert {judgement.run for judgement in judgements} == {"figures"}
    marks = {case: judgement.mark for (_, case), judgement in latest(judgements).items()}
    assert marks == {NAMES[0]: "3"}
    assert judgements[-1].note == "-note of <b>"
    assert [j.slice for j in judgements if j.case == NAMES[1]] == ["4", "4", "4"]

    # What the browser kept is there again, and the filter by mark is in the address.
    again, more = opened(context, folder, "#?mark=3")
    for _ in range(100):  # a page of another process of the browser sees it a moment later
        if again.locator("h2.name").count():
            break
        again.wait_for_timeout(100)
        again.reload()
        again.wait_for_selector(".card, #found:not(:empty)", state="attached")
    assert again.locator("h2.name").all_inner_texts() == [NAMES[0]]
    assert "case" in again.locator("#judged").inner_text()
    again.evaluate("localStorage.clear()")
    empty, others = opened(context, folder)
    assert empty.locator(".judged").all_inner_texts() == ["", "", ""]
    empty.set_input_files("#load-review", saved)
    empty.wait_for_selector("#review-said:not(:empty)")
    assert f"{len(judgements)} new lines" in empty.locator("#review-said").inner_text()
    # They are seen at once: nobody else has judged here.
    assert empty.locator("#judged").inner_text() == "2 cases judged."
    assert "Shown are" not in empty.locator("#review-said").inner_text()
    empty.goto((folder / "index.html").as_uri() + "#1/4")
    assert empty.locator("#reader").input_value() == "anna"
    empty.keyboard.press("Escape")
    empty.wait_for_selector(".judged:not(:empty)")
    assert empty.locator(".judged").first.inner_text() == "mark 3 · 12345 is no mark"
    empty.set_input_files("#load-review", saved)  # once more
    empty.wait_for_selector("#review-said:has-text('0 new lines')")
    assert "left out" not in empty.locator("#review-said").inner_text()
    head, *rows = saved.read_text(encoding="utf-8").splitlines()
    later = rows[0].replace("T", "U")  # the time is none
    broken = tmp_path / "broken.tsv"
    broken.write_bytes(
        "\ufeff".encode()
        + "\r\n".join([head, rows[0].rpartition("\t")[0], later, "\x00\x01", "", ""]).encode()
        + b"\xff\xfe"
    )
    empty.set_input_files("#load-review", broken)
    empty.wait_for_selector("#review-said:has-text('0 new lines from broken.tsv. 4 broken lines')")
    second = tmp_path / "second.tsv"
    second.write_text(f"{head}\n{rows[0].replace('anna', 'bo')}\n")
    empty.set_input_files("#load-review", second)
    empty.wait_for_selector("#review-said:has-text('Shown are those of anna; for others')")
    assert empty.locator("#review-said").inner_text().endswith(": bo.")
    wrong = tmp_path / "other.tsv"
    wrong.write_text("a\tb\n1\t2\n")
    empty.set_input_files("#load-review", wrong)
    empty.wait_for_selector("#review-said:has-text('not a file of marks')")
    assert not complaints + more + others


def test_two_tabs_lose_nothing_of_each_other(context: Any, folder: Path, tmp_path: Path) -> None:
    tabs = [opened(context, folder, f"#{number}/4")[0] for number in (1, 2)]
    for tab, mark in zip(tabs, "35", strict=True):
        tab.fill("#reader", "anna")
        tab.keyboard.press("Tab")
        tab.locator("#large-file").focus()
        tab.keyboard.press(mark)
        tab.wait_for_timeout(500)  # a tab sees what another has kept a moment later
        tab.keyboard.press("Escape")
    with tabs[1].expect_download() as download:
        tabs[1].click("#save-review")
    download.value.save_as(tmp_path / "saved" / "review.tsv")
    marks = [judgement.mark for judgement in read_review(tmp_path / "saved" / "review.tsv")]
    assert marks == ["3", "5"]
