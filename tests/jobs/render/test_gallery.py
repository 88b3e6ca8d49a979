"""The page of an output folder: what is read there, what is missing, what is in the way."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastcam.demo.neck_set import SyntheticSet
from fastcam.errors import InputError, OutputError
from fastcam.jobs.render import job
from fastcam.jobs.render.gallery import read_gallery, write_page
from fastcam.jobs.render.gallery_content import FailureRow
from fastcam.jobs.render.request import RenderRequest
from fastcam.options import Selection, Sources, Style
from fastcam.store.patches import open_store

Call = Callable[..., Any]


def request(
    neck: SyntheticSet, output_dir: Path, selection: Selection | None = None
) -> RenderRequest:
    return RenderRequest(
        results=neck.results,
        output_dir=output_dir,
        sources=Sources(neck.images, neck.masks),
        style=Style(panel_size=96),
        selection=selection or Selection(),
    )


@pytest.fixture(scope="module")
def rendered(neck: SyntheticSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of ``all_slices``; nobody may change it."""
    out = tmp_path_factory.mktemp("rendered") / "out"
    job.render(request(neck, out, Selection("all_slices")))
    return out


@pytest.fixture
def out(rendered: Path, tmp_path: Path) -> Path:
    return shutil.copytree(rendered, tmp_path / "out")


def test_what_a_run_left(out: Path) -> None:
    gallery = read_gallery(out)
    store = open_store(out / "run.zarr")
    assert (gallery.status, gallery.available) == ("finished", 3)
    assert gallery.settings["scale"] == "patient"
    assert "results.pkl" in gallery.title
    assert gallery.files == ("figures.csv", "run.json")
    for number, case in enumerate(gallery.cases):
        kept = store.case(number)
        assert (case.place, case.name, case.correct) == (kept.place, kept.name, kept.correct)
        assert (case.true_label, case.predicted_label) == (kept.true_label, kept.predicted_label)
        assert case.confidence == kept.confidence
        assert case.highest == float(kept.weights.max())
        assert [figure.slice for figure in case.figures] == [0, 1, 2, 3]
        assert [f.slice for f in case.figures if f.best] == [kept.best_slice]
        assert all((out / figure.path).is_file() for figure in case.figures)
        assert case.summary is not None
        assert (out / case.summary).is_file()


def test_a_run_makes_the_page_again(out: Path) -> None:
    made = (out / "index.html").read_bytes()
    (out / "index.html").unlink()
    assert write_page(out) == out / "index.html"
    assert (out / "index.html").read_bytes() == made


def test_best_slice_and_all_slices_in_one_folder(out: Path, neck: SyntheticSet) -> None:
    job.render(request(neck, out, Selection("best_slice")))
    (out / "002_neck_002" / next((out / "002_neck_002").glob("*BEST*")).name).unlink()
    first, second, _ = read_gallery(out).cases
    assert [figure.slice for figure in first.figures] == [0, 1, 2, 3]
    assert all("/" in figure.path for figure in first.figures)
    assert [figure.slice for figure in second.figures] == [0, 1, 2, 3]
    assert ["/" not in figure.path for figure in second.figures] == [f.best for f in second.figures]


def test_figures_that_are_gone_are_left_out(out: Path) -> None:
    shutil.rmtree(out / "001_neck_001")
    next((out / "002_neck_002").glob("slice000*")).unlink()
    (out / "002_neck_002" / "_summary.txt").unlink()
    second, third = read_gallery(out).cases
    assert (second.place, second.summary) == (2, None)
    assert [figure.slice for figure in second.figures] == [1, 2, 3]
    assert len(third.figures) == 4


def test_lines_that_make_no_sense(out: Path) -> None:
    (out.parent / "secret.png").touch()
    with (out / "figures.csv").open("a") as file:
        for path in ("../secret.png", "/etc/passwd", "002_neck_002/../../secret.png", "", "a\0b"):
            csv.writer(file).writerow([path, 1, "neck_001", 77, False, 0.1, 0, 1])
        file.write("002_neck_002/_summary.txt,2,neck_002,x,False,0,0,0\nfew,2\n")
        file.write("002_neck_002/_summary.txt,2,neck_002,78,False,0,0,0")  # cut short
    for case in read_gallery(out).cases:
        assert [figure.slice for figure in case.figures] == [0, 1, 2, 3]


def test_failures(out: Path) -> None:
    (out / "failures.csv").write_text(
        "level,place,case,slice,figures,reason\n"
        'error,4,lost,,4,"no image, none"\nwarning,1,neck_001,2,0,no mask\nbroken\n'
    )
    assert read_gallery(out).failures == (
        FailureRow("error", "lost", None, "no image, none"),
        FailureRow("warning", "neck_001", 2, "no mask"),
    )
    assert "no image, none" in write_page(out).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["run.json", "figures.csv", "run.zarr"])
def test_what_is_missing_is_named(out: Path, name: str) -> None:
    shutil.move(out / name, out.parent / "aside")
    before = (out / "index.html").read_bytes()
    with pytest.raises(InputError, match=name):
        write_page(out)
    assert (out / "index.html").read_bytes() == before


@pytest.mark.parametrize("text", ["", "[]", "nonsense", "\ud800", "[" * 100_000])
def test_a_run_json_that_is_none(out: Path, text: str) -> None:
    (out / "run.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match="is not a run's description"):
        write_page(out)


def test_somebody_elses_index_html_is_kept(out: Path) -> None:
    page = out / "index.html"
    page.write_text("<p>mine</p>")
    with pytest.raises(OutputError, match="move it away"):
        write_page(out)
    assert page.read_text() == "<p>mine</p>"
    page.unlink()
    page.mkdir()
    with pytest.raises(OutputError, match="folder of that name is in the way"):
        write_page(out)


def test_a_run_store_elsewhere(out: Path, neck: SyntheticSet, tmp_path: Path) -> None:
    store = tmp_path / "kept.zarr"
    shutil.move(out / "run.zarr", store)
    other = tmp_path / "other"
    job.render(replace(request(neck, other, Selection(max_samples=1)), results=store))
    assert json.loads((other / "run.json").read_text())["store"] == str(store)
    (case,) = read_gallery(other).cases
    assert case.name == "neck_001"
    shutil.move(store, tmp_path / "gone.zarr")
    with pytest.raises(InputError, match=r"kept\.zarr is missing"):
        write_page(other)


def test_an_interrupted_run_leaves_a_page(
    neck: SyntheticSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fastcam.jobs.render.job._draw", stop)
    with pytest.raises(KeyboardInterrupt):
        job.render(request(neck, tmp_path))
    assert "was interrupted" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_made_costs_no_figures(
    neck: SyntheticSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path) -> None:
        raise InputError(f"{folder}: no run")

    monkeypatch.setattr("fastcam.jobs.render.run_record.write_page", fail)
    report = job.render(request(neck, tmp_path))
    assert (report.drawn, report.exit_code) == (3, 0)
    assert [(t.level, t.case) for t in report.failures] == [("warning", "index.html")]


def test_classes_have_the_names_that_the_run_was_given(out: Path) -> None:
    before = read_gallery(out)
    run = json.loads((out / "run.json").read_text())
    run["settings"]["class_names"] = ["Stable", "Unstable"]
    (out / "run.json").write_text(json.dumps(run))
    names = ["Stable", "Unstable"]
    for old, new in zip(before.cases, read_gallery(out).cases, strict=True):
        assert new.true_label == ("" if old.true_label == "" else names[int(old.true_label)])
        assert new.predicted_label == names[int(old.predicted_label)]
    run["settings"]["class_names"] = "Stable"
    (out / "run.json").write_text(json.dumps(run))
    assert read_gallery(out).cases == before.cases
