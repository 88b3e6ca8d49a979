"""The page by hand in a browser: image and heat mixed, slices turned, columns, two runs."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest
from PIL import Image

import fastcam
from fastcam.demo.neck_set import SyntheticSet
from fastcam.jobs.render.gallery import write_page
from fastcam.jobs.view.opened_case import PanelKind
from fastcam.run.journal import whole_rows

VIEWPORT = {"width": 1400, "height": 900}


@pytest.fixture(scope="module")
def folder(neck: SyntheticSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of the same cases, and a table of these; nobody may change them."""
    folder = tmp_path_factory.mktemp("runs")
    options: dict[str, Any] = {
        "root_dir": neck.images, "mask_dir": neck.masks, "mode": "all_slices", "panel_size": 256
    }  # fmt: skip
    fastcam.render(neck.results, output_dir=folder / "one", **options)
    fastcam.render(neck.results, output_dir=folder / "two", colormap="viridis", **options)
    shutil.rmtree(folder / "two" / "003_neck_003")
    (folder / "two" / "002_neck_002" / "slice000_avg0.0009.png").unlink(missing_ok=True)
    table = "id,age,site\nneck_001,71,north\nneck_002,64,south\nneck_003,80,north\n"
    (folder / "ages.csv").write_text(table, encoding="utf-8")
    return folder


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    complaints: list[str] = []
    contexts = []

    def opened(path: Path, address: str = "") -> Any:
        context = browser.new_context(viewport=VIEWPORT)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        page.goto(path.as_uri() + address)
        page.wait_for_selector(".card")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints


def figure_rows(folder: Path) -> list[dict[str, str]]:
    rows = whole_rows((folder / "figures.csv").read_text(encoding="utf-8"))
    return [row for row in rows if row["slice"]]


def parts(folder: Path, row: dict[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Image and heat (h, w, 3) as figures.csv says where they lie on the figure."""
    size, image, heat = row["panels"].split(",")
    picture = np.asarray(Image.open(folder / row["path"]).convert("RGB"))
    assert picture.shape[1::-1] == tuple(map(int, size.split()))
    cuts = []
    for text in (image, heat):
        x, y, width, height = map(int, text.split()[:4])
        cuts.append(picture[y : y + height, x : x + width].astype(float))
    return cuts[0], cuts[1]


def test_where_the_panels_lie_is_recorded(folder: Path) -> None:
    row = next(row for row in figure_rows(folder / "one") if row["best"] == "True")
    image, heat = parts(folder / "one", row)
    panels: tuple[tuple[PanelKind, np.ndarray], ...] = (("image", image), ("heat", heat))
    for panel, cut in panels:
        drawn = fastcam.picture(
            folder / "one", row["case"], slice=int(row["slice"]), panel=panel, panel_size=256
        )
        # The letters and the bar at the edges are on figures only.
        inner = (slice(40, -40), slice(40, -40))
        assert (cut[inner] == np.asarray(drawn.pixels)[inner]).all()


class Screen:
    """What is seen of the mixed image, which is ``side`` of ``width`` columns wide."""

    def __init__(self, page: Any, width: int, side: int) -> None:
        box = page.locator(".picture").first.bounding_box()
        self.scale = min(box["width"] / width, box["height"] / side) * side
        self.left = box["x"] + (box["width"] - width * self.scale / side) / 2
        self.top = box["y"] + (box["height"] - self.scale) / 2
        self.shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), float)

    def color(self, across: float, down: float) -> np.ndarray:
        """The color at a share of the image."""
        x, y = round(self.left + across * self.scale), round(self.top + down * self.scale)
        return np.asarray(self.shot[y - 1 : y + 2, x - 1 : x + 2].mean(axis=(0, 1)))


def opened_best(folder: Path, open_page: Any, settings: str = "") -> tuple[Any, dict[str, str]]:
    row = next(row for row in figure_rows(folder / "one") if row["best"] == "True")
    page = open_page(folder / "one" / "index.html", f"#{row['place']}/{row['slice']}{settings}")
    page.wait_for_function("() => document.querySelector('#large-image').complete")
    return page, row


def places(heat: np.ndarray) -> Iterator[tuple[float, float]]:
    """Shares of the image, away from its edges and those of patches."""
    for down in np.arange(0.2, 0.8, 0.07):
        for across in np.arange(0.2, 0.8, 0.07):
            y, x = int(down * len(heat)), int(across * len(heat))
            if np.ptp(heat[y - 3 : y + 4, x - 3 : x + 4], axis=(0, 1)).max() < 2:
                yield across, down


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_heat_is_laid_over_the_image(folder: Path, open_page: Any, alpha: float) -> None:
    page, row = opened_best(folder, open_page)
    page.get_by_label("Blend").select_option("flat")
    page.get_by_role("slider", name="Heat").fill(str(alpha))
    page.wait_for_function("() => document.querySelector('.stage').classList.contains('mixed')")
    image, heat = parts(folder / "one", row)
    side, bar = len(heat), int(row["panels"].split()[-1])
    expected = (1 - alpha) * image + alpha * heat
    flat = list(places(heat))
    assert len(flat) > 20
    differences = []
    screen = Screen(page, side + bar, side)
    for across, down in flat:
        y, x = int(down * side), int(across * side)
        near = expected[y - 2 : y + 3, x - 2 : x + 3]
        color = screen.color(across, down)
        differences.append(np.abs(color - near.mean(axis=(0, 1))).max())
    assert np.median(differences) < 4
    assert f"mix={alpha:g}" in page.url


def test_mixing_begins_as_the_overlay_is_mixed(folder: Path, open_page: Any) -> None:
    page, row = opened_best(folder, open_page)
    page.keyboard.press("m")
    page.wait_for_function("() => document.querySelector('.stage').classList.contains('mixed')")
    drawn = fastcam.picture(
        folder / "one", row["case"], slice=int(row["slice"]), panel="overlay", panel_size=256
    )
    wanted = np.asarray(drawn.pixels, float)
    _, heat = parts(folder / "one", row)
    side, bar = len(heat), int(row["panels"].split()[-1])
    screen = Screen(page, side + bar, side)
    differences = []
    for across, down in places(heat):
        y, x = int(down * side), int(across * side)
        near = wanted[y - 2 : y + 3, x - 2 : x + 3].mean(axis=(0, 1))
        differences.append(np.abs(screen.color(across, down) - near).max())
    assert len(differences) > 20
    assert np.median(differences) < 4  # 28 where it begins flat
    assert page.url.endswith("?mix=0.5&blend=heat")


def test_where_there_is_no_heat_the_image_stays(folder: Path, open_page: Any) -> None:
    page, row = opened_best(folder, open_page, "?mix=1&blend=heat")
    page.wait_for_selector(".stage.mixed")
    image, heat = parts(folder / "one", row)
    side, bar = len(heat), int(row["panels"].split()[-1])
    cold = [
        (across, down)
        for across, down in places(heat)
        if (heat[int(down * side), int(across * side)] == (40, 40, 40)).all()
    ]
    assert len(cold) > 10
    differences = []
    screen = Screen(page, side + bar, side)
    for across, down in cold:
        y, x = int(down * side), int(across * side)
        near = image[y - 2 : y + 3, x - 2 : x + 3].mean(axis=(0, 1))
        differences.append(np.abs(screen.color(across, down) - near).max())
    assert np.median(differences) < 4


def test_wheel_and_keys(folder: Path, open_page: Any) -> None:
    page, _row = opened_best(folder, open_page)
    page.keyboard.press("Home")
    page.mouse.move(700, 450)
    page.mouse.wheel(0, 100)
    page.wait_for_function("() => location.hash.endsWith('/1')")
    page.mouse.wheel(0, -100)
    page.wait_for_function("() => location.hash.endsWith('/0')")
    page.mouse.wheel(0, -100)  # there is no slice before the first
    page.keyboard.press("m")
    page.wait_for_function("() => document.querySelector('.stage').classList.contains('mixed')")
    page.keyboard.press("d")
    assert page.locator("#alpha-said").inner_text() == "55 %"
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => location.hash.includes('/1?mix=0.55&blend=heat')")
    assert "mixed" in page.locator(".stage").first.get_attribute("class")
    page.keyboard.press("m")
    page.wait_for_function("() => !document.querySelector('.stage').classList.contains('mixed')")


def names(page: Any) -> list[str]:
    return list(page.locator(".card h2").all_inner_texts())


def test_filters_and_order_by_columns(folder: Path, open_page: Any) -> None:
    write_page(folder / "one", table=folder / "ages.csv")
    path = folder / "one" / "index.html"
    page = open_page(path)
    page.get_by_text("More filters").click()
    page.get_by_label("age from", exact=True).fill("70")
    assert names(page) == ["neck_001", "neck_003"]
    page.get_by_label("Sort by").select_option("age, highest first")
    assert names(page) == ["neck_003", "neck_001"]
    page.get_by_label("site", exact=True).select_option("north")
    page.get_by_label("age to", exact=True).fill("75")
    assert names(page) == ["neck_001"]
    assert page.locator("#column-count").inner_text().strip() == "(2)"
    given = parse_qs(page.url.partition("#?")[2])
    assert json.loads(given["columns"][0]) == {"age": [70, 75], "site": "north"}
    again = open_page(path, f"#{page.url.partition('#')[2]}")
    assert names(again) == ["neck_001"]
    write_page(folder / "one")


def test_two_runs_beside_each_other(folder: Path, open_page: Any) -> None:
    path = write_page(folder / "one", folder / "two")
    assert path == folder / "one" / "compare-two.html"
    page = open_page(path, "#1/0")
    for index in (0, 1):
        page.wait_for_function(
            "index => ['large-image', 'beside-image'].every((id) =>"
            " document.getElementById(id).src.includes(`slice00${index}`))",
            arg=index,
        )
        sources = [
            page.locator(f"#{name}-image").get_attribute("src") for name in ("large", "beside")
        ]
        assert sources[0].startswith("./001_neck_001/")
        assert sources[1].startswith("./../two/001_neck_001/")
        page.keyboard.press("ArrowRight")
    page.keyboard.press("m")
    page.wait_for_function("() => document.querySelectorAll('.stage.mixed').length === 2")
    page.goto(f"{path.as_uri()}#3/0")
    page.get_by_text("This case has no figures there.").wait_for()
    # Cases can be filtered by what the other run says, too.
    page = open_page(path)
    page.get_by_text("More filters").click()
    page.get_by_label("highest weight, two from", exact=True).fill("0")
    assert "neck_003" not in names(page)


def test_runs_of_other_cases_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(fastcam.InputError, match="is given twice"):
        write_page(folder / "one", folder / "one")
    other = shutil.copytree(folder / "two", tmp_path / "other")
    for name in ("001_neck_001", "002_neck_002"):
        shutil.rmtree(other / name)
    with pytest.raises(fastcam.InputError, match="has figures of no case"):
        write_page(folder / "one", other)


@pytest.mark.parametrize("size", [(1400, 900), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(folder: Path, browser: Any, size: tuple[int, int], scheme: str) -> None:
    path = write_page(folder / "one", folder / "two")
    script = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    viewport = {"width": size[0], "height": size[1]}
    context = browser.new_context(viewport=viewport, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    for address in ("", "#1/0?mix=0.5&blend=heat"):
        page.goto("about:blank")
        page.goto(path.as_uri() + address)
        page.wait_for_selector(".card, #large[open]")
        if not address:
            page.get_by_text("More filters").click()
        page.evaluate(script)
        faults = page.evaluate("async () => (await axe.run()).violations")
        assert not [(fault["id"], fault["nodes"][0]["html"]) for fault in faults]
        widths = page.evaluate(
            "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert widths[0] == widths[1]
    context.close()
