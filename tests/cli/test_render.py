"""Options of ``fastcam render`` that are wrong, and what they are called in the message."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from fastcam import options as spec
from fastcam.api import render as api
from fastcam.cli.render import _single_threaded_blas
from fastcam.demo.neck_set import SyntheticSet

Call = Callable[..., Any]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--mode", "all"), ["--mode", "best_slice"]),
        (("--scale", "log"), ["--scale", "cohort"]),
        (("--format", "bmp"), ["--format", "webp"]),
        (("--language", "de"), ["--language", "zh"]),
        (("--top-k", "many"), ["--top-k", "valid integer"]),
        (("--colormap", "rainbow"), ["--colormap 'rainbow'", "viridis"]),
        (("--heat-alpha", "1.5"), ["--heat-alpha 1.5", "between 0 and 1"]),
        (("--heat-alpha", "nan"), ["--heat-alpha nan"]),
        (("--top-k", "-1"), ["--top-k -1", "at least 0"]),
        (("--panel-size", "8"), ["--panel-size 8", "at least 32"]),
        (("--panel-size", "100000"), ["--panel-size 100000", "at most 8192"]),
        (("--max-samples", "0"), ["--max-samples 0", "at least 1"]),
        (("--offset", "-1"), ["--offset -1", "at least 0"]),
        (("--workers", "0"), ["--workers 0", "at least 1"]),
        (("--every-slice",), ["--every-slice needs --mode all_slices"]),
        (("--frame", "crop"), ["--frame 'crop'", "mask-crop:SIDE"]),
        (("--slices", "first:3"), ["--slices 'first:3'", "middle:COUNT"]),
        (("--font", "/no/such/font.ttf"), ["--font /no/such/font.ttf", "no such file"]),
        (("--scheduler", "nowhere"), ["--scheduler nowhere", "tcp://host:8786"]),
    ],
)
def test_wrong_options(
    render: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    words: list[str],
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    outcome = render(*options)
    assert outcome.code == 2, outcome
    for word in words:
        assert word in outcome.err
    assert "Traceback" not in outcome.err
    assert not list((tmp_path / "out").glob("*.png"))


def test_a_crop_needs_masks(render: Call) -> None:
    outcome = render("--frame", "mask-crop:96", mask_dir=None)
    assert outcome.code == 2
    assert "--mask-dir" in outcome.err


def test_results_file_is_another_way_to_give_results(
    fastcam: Call, neck: SyntheticSet, tmp_path: Path, pictures: Call, same: Call
) -> None:
    paths = ("--root-dir", neck.images, "--mask-dir", neck.masks, "--panel-size", 96)
    for name, results in (("a", (neck.results,)), ("b", ("--results-file", neck.results))):
        outcome = fastcam(
            "render", *results, *paths, "--workers", 1, "--output-dir", tmp_path / name
        )
        assert outcome.code == 0, outcome
    assert same(pictures(tmp_path / "a"), pictures(tmp_path / "b"))
    both = fastcam(
        "render", neck.results, "--results-file", neck.results, "--output-dir", tmp_path / "c"
    )
    assert both.code == 2
    assert both.err.count("\n") == 1
    assert "two names for one thing: give one of them" in both.err
    neither = fastcam("render", "--output-dir", tmp_path / "c")
    assert neither.code == 2
    assert "RESULTS" in neither.err
    assert "--results-file" in neither.err
    assert not (tmp_path / "c").exists()


def test_every_choice_is_in_the_help(fastcam: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    said = fastcam("render", "--help-all").out
    for kind in (spec.Mode, spec.Scale, spec.Blend, spec.Theme, spec.Language, spec.PictureFormat):
        assert all(choice in said for choice in get_args(kind))
    assert all(style in said for style in get_args(spec.StyleName))
    assert all(name in said for name in (*spec.COLORMAPS, *spec.WINDOWS))


def test_options_and_keywords_have_one_name(fastcam: Call) -> None:
    import inspect

    from fastcam.cli.render import render as command

    many = {"patient": "patients", "method": "methods", "layer": "layers"}
    options = inspect.signature(command).parameters
    keywords = inspect.signature(api.render).parameters
    named = {many.get(name, name): option for name, option in options.items()}
    assert named.keys() - {"as_json", "results_file"} == keywords.keys() - {"progress"}
    for name in named.keys() & keywords.keys() - {
        "results",
        "output_dir",
        "class_names",
        "panels",
        *many.values(),
    }:
        assert named[name].default == keywords[name].default


def test_windows_and_class_names_reach_the_figures(render: Call, tmp_path: Path) -> None:
    outcome = render("--window", "brain", "--class-names", "Stable,Unstable")
    assert outcome.code == 0
    settings = json.loads((tmp_path / "out" / "run.json").read_text())["settings"]
    assert settings["window"] == [40.0, 80.0]
    assert settings["class_names"] == ["Stable", "Unstable"]
    # The same again is the same job; another window is another.
    again = ("--window-level", "40,80", "--class-names", "Stable,Unstable")
    assert render(*again).code == 0
    assert render("--window", "lung", "--class-names", "Stable,Unstable").code == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--window", "brian"), ["--window 'brian'", "brain", "40,400"]),
        (("--style", "old"), ["--style", "standard", "classic", "paper"]),
        (("--class-names", "A,A"), ["--class-names 'A,A'"]),
    ],
)
def test_wrong_looks(render: Call, tmp_path: Path, options, words) -> None:
    outcome = render(*options)
    assert outcome.code == 2
    assert all(word in outcome.err for word in words)
    assert not (tmp_path / "out").exists()


def test_blas_has_no_threads_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """They wait for work in loops, on the cores where workers begin to draw."""
    count = "import numpy, threading, os; print(len(os.listdir('/proc/self/task')))"
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with _single_threaded_blas():
        found = subprocess.run([sys.executable, "-c", count], capture_output=True, check=True)
    assert int(found.stdout) == 1
    assert "OPENBLAS_NUM_THREADS" not in os.environ
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    with _single_threaded_blas():
        assert os.environ["OPENBLAS_NUM_THREADS"] == "3"
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"
