"""The page's text: parsed as a browser parses it, whatever names and reasons hold."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.jobs.render.gallery_content import FailureRow, Gallery, GalleryCase, GalleryFigure
from fastcam.jobs.render.page import link, page_html

from .page_cases import cases_of

HOSTILE = [
    "<script>document.title = 'run'</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>-->",
    "<img src=x onerror=alert(1)>",
    "\"'><b onclick=alert(1)>",
    "&lt;b&gt; &amp; &#60;",
    "@@data@@ @@script@@",
    "\\1 \\g<0>",
    "\u2028\u2029\u202e",
    "</noscript><p>",
    "</title></style>",
]


class Document(HTMLParser):
    """Elements with their attributes, and the text inside each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        while tag in self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open[-1]][-1] += data

    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]

    def links(self) -> list[str]:
        names = ("href", "src", "srcset", "action", "data", "poster")
        found = [attrs.get(name) for _, attrs in self.elements for name in names]
        return [value for value in found if value is not None]

    def data(self) -> Any:
        (json_script, _) = self.texts["script"]
        return json.loads(json_script)


def case(place: int = 1, name: str = "neck", slices: int = 3, **changes: Any) -> GalleryCase:
    folder = f"{place:03d}_case"
    figures = tuple(
        GalleryFigure(f"{folder}/slice{k:03d}_avg0.1.png", k, k == 1, 0.1 * k)
        for k in range(slices)
    )
    example = GalleryCase(
        place=place,
        name=name,
        true_label=1,
        predicted_label=0,
        correct=False,
        confidence=0.875,
        highest=0.25,
        figures=figures,
        summary=f"{folder}/_summary.txt",
    )
    return replace(example, **changes)


def gallery(*cases: GalleryCase, **changes: Any) -> Gallery:
    example = Gallery(
        title="results.pkl",
        status="finished",
        settings={"scale": "patient"},
        available=len(cases),
        cases=cases,
    )
    return replace(example, **changes)


def test_the_data_are_the_cases() -> None:
    one = case(7, "患者 #1", correct=True)
    flat = case(8, figures=(GalleryFigure("008_x_slice4.png", 4, True, 0.5),), summary=None)
    first, second = cases_of(Document(page_html(gallery(one, flat))).data())
    assert (first["place"], first["name"]) == (7, "患者 #1")
    assert (first["label"], first["prediction"], first["right"]) == (1, 0, 1)
    assert (first["confidence"], first["highest"]) == (0.875, 0.25)
    assert (first["shown"], first["best"]) == (1, 1)
    assert first["summary"] == "007_case/_summary.txt"
    assert first["figures"] == [
        (f.slice, pytest.approx(f.average), f.path, "") for f in one.figures
    ]
    assert (second["right"], second["summary"], second["folder"]) == (0, "", "")
    assert second["figures"] == [(4, 0.5, "008_x_slice4.png", "")]


def test_figures_of_both_modes_of_one_case() -> None:
    def mixed(best: int) -> tuple[GalleryFigure, ...]:
        paths = ("001_a_slice0.png", "001_a/slice001.png")
        return tuple(GalleryFigure(path, k, k == best, 0.1) for k, path in enumerate(paths))

    for figures in (mixed(best=0), mixed(best=1)):
        row = cases_of(Document(page_html(gallery(case(figures=figures)))).data())[0]
        paths = [path for _, _, path, _ in row["figures"]]
        assert paths == [figure.path for figure in figures]


def test_without_its_best_slice_a_case_is_shown_by_the_next_best() -> None:
    figures = tuple(GalleryFigure(f"{k}.png", k, False, w) for k, w in enumerate((0.1, 0.3, 0.3)))
    row = cases_of(Document(page_html(gallery(case(figures=figures)))).data())[0]
    assert (row["shown"], row["best"]) == (1, 0)


def test_numbers_that_json_has_not() -> None:
    row = cases_of(Document(page_html(gallery(case(confidence=float("nan"))))).data())[0]
    assert row["confidence"] is None


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_from_files_is_markup(text: str) -> None:
    def made(word: str) -> Document:
        figures = (GalleryFigure(f"{word}/{word}.png", 0, True, 0.1),)
        return Document(
            page_html(
                gallery(
                    case(1, word, figures=figures, summary=f"{word}/s.txt"),
                    title=word,
                    status=word,
                    settings={"scale": word, "colormap": word, word: word},
                    failures=(
                        FailureRow("error", word, 3, word),
                        FailureRow(word, word, None, word),
                    ),
                    files=(word,),
                )
            )
        )

    hostile, harmless = made(text), made("word")
    assert hostile.tags() == harmless.tags()
    attributes = [sorted(attrs) for _, attrs in hostile.elements]
    assert attributes == [sorted(attrs) for _, attrs in harmless.elements]
    row = cases_of(hostile.data())[0]
    assert row["name"] == text
    assert row["figures"][0][2] == f"{text}/{text}.png"
    assert hostile.texts["h1"] == [text]
    assert text in hostile.texts["td"]
    assert hostile.texts["script"][1] == harmless.texts["script"][1]
    assert not re.search("[<>&\u2028\u2029]", hostile.texts["script"][0])


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=30))
def test_any_name_comes_back(name: str) -> None:
    document = Document(page_html(gallery(case(name=name))))
    assert document.tags() == Document(page_html(gallery(case()))).tags()
    assert cases_of(document.data())[0]["name"] == name


_NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/."), min_size=1)


@settings(deadline=None)
@given(st.lists(_NAMES, min_size=1, max_size=3))
def test_links_stay_in_the_folder(names: list[str]) -> None:
    path = "/".join(names)
    parts = urlsplit(urljoin("file:///out/index.html", link(path)))
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("file", "", "", "")
    assert unquote(parts.path) == f"/out/{path}"


@pytest.mark.parametrize("path", ["javascript:alert(1)", "http://a.b/c", "//a.b/c", "/etc/passwd"])
def test_links_are_never_absolute(path: str) -> None:
    assert urljoin("file:///out/index.html", link(path)).startswith("file:///out/")


def test_the_page_needs_nothing_from_elsewhere() -> None:
    text = page_html(
        gallery(case(), failures=(FailureRow("error", "a", None, "b"),), files=("run.json",))
    )
    document = Document(text)
    assert document.tags().count("script") == 2
    assert document.tags().count("style") == 1
    assert not {"link", "iframe", "object", "embed", "base"} & set(document.tags())
    assert all(target.startswith(("./", "#")) for target in document.links())
    assert not re.search(
        r"https?:|@import|[:\s]url\([\"'./]|\bfetch\b|XMLHttp|innerHTML|\beval\b", text
    )


def test_the_policy_runs_the_pages_own_script_only() -> None:
    document = Document(page_html(gallery(case())))
    (policy,) = (
        attrs["content"]
        for _, attrs in document.elements
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in (policy or "").split(";"))
    assert rules["default-src"] == "'none'"
    for kind, text in (
        ("script", document.texts["script"][1]),
        ("style", document.texts["style"][0]),
    ):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"
    assert not any(
        name.startswith("on") or name == "style" for _, attrs in document.elements for name in attrs
    )


def test_without_scripts_there_is_a_list_of_links() -> None:
    folder = case(1, "a & b", figures=case().figures, summary="001_case/_summary.txt")
    flat = case(12, "c#", figures=(GalleryFigure("012_c#_slice4.png", 4, True, 0.5),), summary=None)
    text = page_html(gallery(folder, flat))
    plain = Document(text[text.index("<noscript>") : text.index("</noscript>")])
    assert plain.links() == [
        "./001_case/slice001_avg0.1.png",
        "./001_case/",
        "./001_case/_summary.txt",
        "./012_c%23_slice4.png",
    ]
    assert plain.texts["a"] == ["a & b", "3 figures", "summary", "c#"]
    assert [attrs.get("value") for tag, attrs in plain.elements if tag == "li"] == ["1", "12"]
    hidden = {attrs["id"] for _, attrs in Document(text).elements if "hidden" in attrs}
    assert {"list", "case"} <= hidden


def test_failures_come_last_errors_first() -> None:
    found = (FailureRow("warning", "a", 3, "no mask"), FailureRow("error", "b", None, "no image"))
    text = page_html(gallery(case(), failures=found))
    document = Document(text[text.index('<section id="failures">') :])
    cells = [cell.strip() for cell in document.texts["td"]]
    assert cells == ["failed", "b", "", "no image", "warning", "a", "3", "no mask"]
    assert "1 failure and 1 warning, at the end" in text
    assert 'href="#failures"' not in page_html(gallery(case()))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "2 cases, 6 figures; 1 predicted right, 1 wrong."),
        ({"available": 1200}, "2 of 1,200 cases, 6 figures"),
        ({"settings": {"scale": "slice", "colormap": "viridis"}}, "Scale slice: each slice"),
        ({"settings": {"scale": "slice", "colormap": "viridis"}}, "Color map: viridis"),
        ({"settings": {"heat_alpha": 0.4}}, "<th scope=row>heat-alpha<td>0.4"),
        ({"status": "interrupted"}, "was interrupted"),
        ({"cases": (), "available": 5}, "No figures yet of 5 cases."),
    ],
)
def test_what_was_rendered(changes: dict[str, Any], words: str) -> None:
    assert words in page_html(replace(gallery(case(1, correct=True), case(2)), **changes))


def test_a_figure_costs_few_bytes() -> None:
    few, many = (
        len(page_html(gallery(*(case(n, slices=s) for n in range(100))))) for s in (1, 101)
    )
    assert (many - few) / 10_000 < 60
