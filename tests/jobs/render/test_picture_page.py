"""The page over pictures of any kind."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fastcam.errors import OutputError
from fastcam.jobs.render.picture_page import PictureGroup, write_picture_page
from fastcam.run.records import Failure

from .page_cases import cases_of


def test_groups_are_cases_and_files_their_figures(tmp_path: Path) -> None:
    groups = [
        PictureGroup("a<b>", "predicted 3 & more", True, ["a/x.png", "a/y.svg", "a/z.pdf"]),
        PictureGroup("only pages", "", None, ["p.pdf"]),
        PictureGroup("c", "", None, ["c.png"]),
    ]
    failure = Failure("error", 2, "broken", None, 1, "no picture")
    page = write_picture_page(tmp_path, "vit_tiny", groups, files=["r.json"], failures=[failure])
    text = page.read_text(encoding="utf-8")
    found = re.search('id="data">(.*?)</script>', text)
    assert found is not None
    data = json.loads(found[1])
    assert data["pictures"]
    first, second = cases_of(data)
    assert [first[name] for name in ("place", "name", "label")] == [1, "a<b>", ""]
    assert (first["prediction"], first["right"]) == ("predicted 3 & more", 1)
    assert [path for _, _, path, _ in first["figures"]] == ["a/x.png", "a/y.svg"]
    assert (second["place"], second["name"]) == (3, "c")
    for name in ("a/z.pdf", "p.pdf", "r.json"):
        assert f'<a href="./{name}">' in text
    assert "2 cases, 3 figures" in text
    assert "no picture" in text
    assert "a&lt;b&gt;" in text
    assert "Color map" not in text


def test_a_page_over_pdf_files_alone_says_where_they_are(tmp_path: Path) -> None:
    groups = [PictureGroup("a", "", None, ["a/x.pdf", "a/y.PDF"])]
    text = write_picture_page(tmp_path, "vit", groups, files=["r.json"]).read_text("utf-8")
    assert "2 figures as PDF, linked below" in text
    assert "No figures yet" not in text
    assert "No figures yet" in write_picture_page(tmp_path, "vit", []).read_text("utf-8")


def test_random_weights_stand_in_the_title(tmp_path: Path) -> None:
    groups = [PictureGroup("a", "", None, ["a.png"])]
    plain = write_picture_page(tmp_path, "t", groups).read_text(encoding="utf-8")
    assert "mean nothing" not in plain
    page = write_picture_page(tmp_path, "t", groups, random_weights="random weights of b")
    assert "t, random weights of b: the maps mean nothing (" in page.read_text(encoding="utf-8")


def test_a_page_of_somebody_else_stays(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(OutputError, match=r"index\.html: is not a gallery page"):
        write_picture_page(tmp_path, "t", [])
    assert (tmp_path / "index.html").read_text() == "mine"


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (["a"], "1 case and 1 summary, 2 figures."),
        (["a", "b"], "2 cases and 1 summary, 3 figures."),
        ([], "1 figure."),
    ],
)
def test_what_belongs_to_no_case_is_none(tmp_path: Path, groups: list[str], said: str) -> None:
    shown = [PictureGroup(name, "", None, [f"{name}.png"]) for name in groups]
    shown.append(PictureGroup("of the model", "", None, ["m.png"], of_case=False))
    text = write_picture_page(tmp_path, "t", shown).read_text(encoding="utf-8")
    assert f"<p>{said}" in text
