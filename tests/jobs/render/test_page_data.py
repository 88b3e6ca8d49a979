"""Columns and paths of a page as they are packed, read back here and by the page's own script."""

from __future__ import annotations

import json
import math
import shutil
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.jobs.render.gallery_columns import gallery_columns
from fastcam.jobs.render.gallery_content import Gallery, GalleryCase, GalleryFigure
from fastcam.jobs.render.page import page_html
from fastcam.jobs.render.page_columns import packed, rounded
from fastcam.jobs.render.page_data import json_text, page_data
from fastcam.run import file_names

from .page_cases import cases_of, unpacked

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PANELS = "2318 612,12 67 512 512,536 67 512 512 80"

# What a browser writes otherwise than Python, or with more digits than Decimal has by default.
EXTREMES = [
    *(sign * size for sign in (1.0, -1.0) for size in (0.0, 5e-324, 2.5e-310, 5e15, 123456789e12)),
    *(sign * size for sign in (1.0, -1.0) for size in (9.9999e20, 1e21, 1e25, 5e30, 3.4e38)),
]

_NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False).map(rounded)
_COLUMNS = st.one_of(
    st.lists(st.integers(-3, 20)),
    st.lists(st.integers(0, 9)),
    st.lists(st.sampled_from(["", "Stable", "Unstable", "a|b"])),
    st.lists(st.text(max_size=4)),
    st.lists(_NUMBERS),
    st.lists(st.one_of(st.none(), st.integers(0, 1))),
    st.lists(st.one_of(st.integers(0, 2), st.text(max_size=2))),
    st.tuples(st.integers(-5, 5), st.integers(0, 20)).map(lambda o: list(range(o[0], sum(o)))),
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.015749780325374257, "0.0157"),  # 0.01575 would be 0.0158
        (0.006150002, "0.0062"),  # 0.00615 lies below it in binary
        (0.03125, "0.0312"),  # as near to 0.0313, which a browser takes
        (0.53125, "0.5312"),
        (0.99995001, "1.0000"),
        (3.862506, "3.8625"),
        (0.5, "0.5000"),
        (-0.015749780325374257, "-0.0157"),
    ],
)
def test_a_page_writes_numbers_as_figures_do(value: float, text: str) -> None:
    assert f"{value:.4f}" == text
    shown = rounded(value)
    assert shown is not None
    assert shown == pytest.approx(value, rel=1.1e-4, abs=5e-5)
    assert _by_a_browser(shown) == text


@given(st.floats(-1, 1, width=32))
def test_rounding_twice_is_rounding_once(value: float) -> None:
    shown = rounded(value)
    assert shown is not None
    assert float(_by_a_browser(shown)) == float(f"{value:.4f}")


@given(st.floats())
def test_any_number_is_rounded(value: float) -> None:
    shown = rounded(value)
    if not math.isfinite(value):
        assert shown is None
    else:
        assert shown == pytest.approx(value, rel=1.1e-4, abs=5e-5)


def _by_a_browser(value: float) -> str:
    """``Number.prototype.toFixed(4)``: of two texts as near the larger number, of its size."""
    size = Fraction(abs(value)) * 10**4
    whole = math.floor(size + Fraction(1, 2))
    return f"{'-' if value < 0 else ''}{whole // 10**4}.{whole % 10**4:04d}"


@settings(deadline=None)
@given(_COLUMNS)
def test_a_column_comes_back(values: list[Any]) -> None:
    column = json.loads(json_text(packed(values)))
    assert unpacked(column, len(values)) == values


@pytest.mark.parametrize(
    ("values", "form"),
    [
        ([4, 5, 6, 7], {"from": 4}),
        ([0.5] * 9, {"all": 0.5}),
        ([0, 1, 2, 1, 0, 9], {"digits": "012109"}),
        (
            [0.00125, 0.005, None, 0.0025, *[0.00075] * 5],
            {"over": 100000, "values": [125, 500, None, 250, *[75] * 5]},
        ),
        (
            ["sub-01", "sub-02", "sub-1", "sub-04", "sub-05"],
            {"prefix": "sub-", "joined": "01|02|1|04|05"},
        ),
        (["north", "south"] * 4, {"texts": ["north", "south"], "at": {"digits": "01" * 4}}),
    ],
)
def test_the_shortest_form(values: list[Any], form: Any) -> None:
    assert packed(values) == form


def case_of(place: int, name: str, slices: list[int], averages: list[float], best: int | None):
    """A case of `render --mode all_slices`, called as the command calls its files."""

    named: Any = SimpleNamespace(
        place=place,
        name=name,
        best_slice=-1 if best is None else slices[best],
        slice_averages=dict(zip(slices, averages, strict=True)),
    )
    figures = tuple(
        GalleryFigure(
            file_names.slice_path(named, index, "png"),
            index,
            at == best,
            average,
            panels=PANELS if index % 5 else "",
        )
        for at, (index, average) in enumerate(zip(slices, averages, strict=True))
    )
    return GalleryCase(
        place=place,
        name=name,
        true_label="Stable",
        predicted_label="Stable" if place % 2 else 1,
        correct=None if place == 3 else bool(place % 2),
        confidence=math.nan if place == 2 else 0.987654,
        highest=0.01234567 * place,
        figures=figures,
        summary=None if place == 4 else file_names.summary_path(named),
    )


def odd_gallery() -> Gallery:
    """Names and numbers that patterns of paths can be wrong about."""
    rng = np.random.default_rng(0)
    many = rng.random(200) * 10.0 ** rng.integers(-6, 4, 200)
    cases = [
        case_of(1, "slice7_avg0.1234", [7, 8, 9], [0.1234, 0.03125, 0.00005], 1),
        case_of(2, "{p}_{n}", [1, 3], [0.5, 0.25], 0),
        case_of(3, "a/b|c", [0, 1], [-0.03125, -0.00004], None),
        case_of(4, "患者 $& 4", list(range(95, 295)), many.tolist(), 30),
        case_of(1005, "BEST_avg", [0], [math.nan], 0),
        case_of(7, "extremes", list(range(len(EXTREMES))), EXTREMES, 3),
        case_of(8, "limits", [0, 1], [math.inf, -math.inf], None),
    ]
    loose = GalleryCase(
        place=6,
        name="6",
        true_label="",
        predicted_label="1",
        correct=None,
        confidence=0.5,
        highest=1.0,
        figures=(
            GalleryFigure("006_6_slice4.png", 4, True, 0.5),
            GalleryFigure("006_6/slice005_avg0.1.png", 5, False, 0.1),
            GalleryFigure("{s}.png", 6, False, 0.1),
        ),
    )
    return Gallery(
        title="t", status="finished", settings={}, available=8, cases=(*cases, loose), run="r"
    )


def test_every_figure_comes_back_with_its_path() -> None:
    gallery = odd_gallery()
    data = json.loads(json_text(page_data(gallery)))
    for case, found in zip(gallery.cases, cases_of(data), strict=True):
        assert (found["place"], found["name"]) == (case.place, case.name)
        assert (found["label"], found["prediction"]) == (case.true_label, case.predicted_label)
        assert found["summary"] == (case.summary or "")
        for figure, (index, average, path, panels) in zip(
            case.figures, found["figures"], strict=True
        ):
            assert (index, path, panels) == (figure.slice, figure.path, figure.panels)
            if average is not None:
                assert average == pytest.approx(figure.average, rel=1e-4)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
def test_the_script_reads_the_same(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    gallery = odd_gallery()
    path = tmp_path / "index.html"
    path.write_text(page_html(gallery), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(path.as_uri())
        found = page.evaluate(
            """() => {
            const data = JSON.parse(document.getElementById("data").textContent);
            return unpackedCases(data, "").map((entry) => ({ ...entry,
                paths: entry.figures.map((figure, at) =>
                    pathOf(entry.folder, entry, at) + pathOf(figure[2], entry, at)),
                summary: pathOf(entry.folder, entry) + pathOf(entry.summary, entry) }));
            }"""
        )
        browser.close()
    assert len(found) == len(gallery.cases)
    for case, entry in zip(gallery.cases, found, strict=True):
        assert entry["paths"] == [figure.path for figure in case.figures]
        assert [figure[0] for figure in entry["figures"]] == [one.slice for one in case.figures]
        assert (entry["name"], entry["right"]) == (case.name, case.correct)
        assert entry["confidence"] == rounded(case.confidence)
        if case.summary:
            assert entry["summary"] == case.summary


@pytest.mark.parametrize(("count", "each"), [(800, 10), (80, 100)])
def test_a_page_of_ten_times_as_many_figures_has_three_megabytes(count: int, each: int) -> None:
    rng = np.random.default_rng(0)
    cases = tuple(
        case_of(
            place,
            f"patient_{place:05d}",
            list(range(30, 30 + each)),
            (rng.random(each) * 0.002).tolist(),
            int(rng.integers(each)),
        )
        for place in range(1, count + 1)
    )
    gallery = Gallery(title="t", status="finished", settings={}, available=count, cases=cases)
    columns = gallery_columns(Path("nowhere"), cases)
    assert [column.name for column in columns] == ["slice", "average"]
    data = json_text(page_data(gallery))
    assert len(data) < 3.0e6 / 10
