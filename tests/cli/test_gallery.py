"""``fastcam gallery``, and the page in a real browser."""

from __future__ import annotations

import math
import pickle
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from fastcam.demo.neck_set import SyntheticSet
from fastcam.jobs.render.gallery_content import Gallery, GalleryCase, GalleryFigure
from fastcam.jobs.render.page import page_html
from fastcam.jobs.render.picture_page import PictureGroup, write_picture_page

Call = Callable[..., Any]

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
NAME = "a b#50%<img src=x onerror=document.body.id='hacked'></script>患者"


def test_it_prints_the_pages_path(render: Call, fastcam: Call, tmp_path: Path) -> None:
    assert render().code == 0
    page = tmp_path / "out" / "index.html"
    assert page.is_file()
    page.unlink()
    outcome = fastcam("gallery", tmp_path / "out")
    assert (outcome.code, outcome.out) == (0, f"{page}\n")
    assert "neck_003" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["none", "empty", "file.txt"])
def test_a_folder_that_is_no_runs(fastcam: Call, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").touch()
    outcome = fastcam("gallery", tmp_path / name)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert str(tmp_path / name) in outcome.err
    assert ("run.json" if name == "empty" else "no such folder") in outcome.err
    assert list((tmp_path / "empty").iterdir()) == []


def test_help(fastcam: Call) -> None:
    outcome = fastcam("gallery", "--help")
    assert outcome.code == 0
    assert "DIR" in outcome.out


@pytest.mark.skipif(BROWSER is None, reason="no chromium here")
@pytest.mark.parametrize("mode", ["best_slice", "all_slices"])
def test_in_a_browser(
    render: Call, neck: SyntheticSet, records: list[dict[str, Any]], tmp_path: Path, mode: str
) -> None:
    shutil.copytree(neck.images, tmp_path / "images")
    shutil.move(tmp_path / "images" / "neck_001.nii.gz", tmp_path / "images" / "spare.nii.gz")
    records[0]["patient_name"] = "missing"
    records[1]["patient_name"] = NAME.replace("/", "")
    records[1].update(is_correct=False, predicted_label=1 - records[1]["true_label"])
    (tmp_path / "images" / "neck_002.nii.gz").rename(
        tmp_path / "images" / f"{NAME.replace('/', '')}.nii.gz"
    )
    results = tmp_path / "results.pkl"
    results.write_bytes(pickle.dumps(records))
    out = tmp_path / "a #b% 患者"
    paths = {"results": results, "root_dir": tmp_path / "images", "mask_dir": None}
    assert render("--mode", mode, output_dir=out, **paths).code == 3

    listed = _dom(out, "", tmp_path)
    assert "hacked" not in re.findall("<body[^>]*>", listed)[0]
    names = [unescape(name) for name in re.findall('<h2 class="name">(.*?)</h2>', listed)]
    assert names == [NAME.replace("/", ""), "neck_003"]
    assert re.findall("<b class=.(right|wrong).>[✓✗]", listed) == ["wrong", "right"]
    assert re.search('<section id="list"[^>]*>', listed)
    assert "hidden" not in re.findall('<section id="list"[^>]*>', listed)[0]
    assert "missing" in listed[listed.index('<section id="failures"') :]
    sources = re.findall('<img[^>]* src="([^"]*)"', listed)
    assert len(sources) == 2
    assert all((out / unquote(urlsplit(unescape(source)).path)).is_file() for source in sources)
    # The script sets it when a figure has been loaded, so that the policy allows that.
    assert "--ratio" in re.findall('<div id="cards"[^>]*>', listed)[0]

    figures = 4 if mode == "all_slices" else 1
    opened = _dom(out, "#2" if figures > 1 else _first_link(listed), tmp_path)
    if figures > 1:
        assert opened.count('href="#2/') == figures
        assert opened.count('class="badge"') == 1
    else:
        assert re.search(r"<dialog[^>]*\bopen\b", opened)
        assert re.search('<img id="large-image"[^>]*src="./002_', opened)


def _page(folder: Path, cases: list[tuple[str, str, float]]) -> None:
    """A page of maps of images: true and predicted label, and error, of each."""
    figure = GalleryFigure("x.png", 0, True, 0.5)
    folder.mkdir()
    gallery = Gallery(
        title="t",
        status="finished",
        settings={},
        available=len(cases),
        cases=tuple(
            GalleryCase(
                place=place,
                name=f"case{place}",
                true_label=true,
                predicted_label=predicted,
                correct=true == predicted if math.isnan(error) else None,
                confidence=math.nan,
                highest=1.0,
                figures=(figure,),
                error=error,
            )
            for place, (true, predicted, error) in enumerate(cases, 1)
        ),
        maps=True,
        flat=True,
    )
    (folder / "index.html").write_text(page_html(gallery), encoding="utf-8")


@pytest.mark.skipif(BROWSER is None, reason="no chromium here")
def test_filters_and_order_are_in_the_address(tmp_path: Path) -> None:
    nan = math.nan
    _page(tmp_path / "a", [("0", "0", nan), ("0", "2", nan), ("1", "2", nan), ("0", "2", nan)])
    listed = _dom(tmp_path / "a", "#?pair=0+%E2%86%92+2&sort=name&filter=wrong", tmp_path)
    assert re.findall('<h2 class="name">(.*?)</h2>', listed) == ["case2", "case4"]
    assert "true 0, predicted 2 (2)" in listed
    assert "2 of 4 cases" in listed
    assert _first_link(listed) == "#2/0?filter=wrong&amp;pair=0+%E2%86%92+2&amp;sort=name"
    assert ">1 figure</span>" in listed

    groups = [PictureGroup("im", "predicted 3", None, ["im/a_overlay.png", "im/b.png"])]
    (tmp_path / "c").mkdir()
    write_picture_page(tmp_path / "c", "vit", groups)
    listed = _dom(tmp_path / "c", "#1", tmp_path)
    assert re.findall('<span class="facts">(.*?)</span>', listed) == ["a_overlay", "b"]
    assert "predicted 3 · 2 figures" in listed
    assert "confidence" not in re.findall('<select id="sort">(.*?)</select>', listed, re.S)[0]

    _page(tmp_path / "b", [("30", "31", 1.0), ("30", "22", -8.0), ("30", "33", 3.0)])
    listed = _dom(tmp_path / "b", "", tmp_path)
    assert re.findall('<h2 class="name">(.*?)</h2>', listed) == ["case2", "case3", "case1"]
    assert "error -8" in listed
    assert 'id="verdicts" hidden' in listed


def _first_link(dom: str) -> str:
    return re.findall(r'class="card[^"]*" href="(#[^"]*)"', dom)[0]


def _dom(folder: Path, address: str, tmp_path: Path) -> str:
    """The page's elements after its script has run, as Chromium writes them."""
    command = [
        str(BROWSER),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=3000",
        "--dump-dom",
        (folder / "index.html").resolve().as_uri() + address,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout
