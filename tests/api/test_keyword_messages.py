"""From Python messages name keywords, on the command line options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastcam
from fastcam.api.keyword_messages import keyword_messages, with_keywords
from fastcam.errors import InputError

KEYWORDS = ("image_size", "layers", "target", "compile", "patients")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("--image-size 7 is no multiple of 16", "image_size 7 is no multiple of 16"),
        ("leave out --layer, or give --target", "leave out layers, or give target"),
        ("use --no-compile", "use compile"),
        ("--patient a: there is none", "patients a: there is none"),
        ("give --mask-dir; a--layer and x.pth--layer stay", None),
        ("rows: a -- b", None),
    ],
)
def test_options_become_keywords(message: str, expected: str | None) -> None:
    assert with_keywords(message, KEYWORDS) == (expected or message)


def test_the_error_is_the_same_but_for_its_message() -> None:
    cause = ValueError("x")

    @keyword_messages
    def function(image_size: int) -> None:
        raise InputError(f"--image-size {image_size}: too small") from cause

    with pytest.raises(InputError, match=r"^image_size 3: too small$") as caught:
        function(3)
    assert caught.value.__cause__ is cause


def test_a_function_and_its_command(fastcam: Callable[..., Any], tmp_path: Path) -> None:
    from fastcam import render

    with pytest.raises(InputError, match=r"^panel_size 0 is too small"):
        render(tmp_path / "r.pkl", output_dir=tmp_path / "out", panel_size=0)
    outcome = fastcam("render", tmp_path / "r.pkl", "--output-dir", tmp_path / "out",
                      "--panel-size", 0)  # fmt: skip
    assert outcome.err.startswith("fastcam: --panel-size 0 is too small")


def test_a_keyword_that_is_not_called_as_its_option(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the folder of a run"):
        fastcam.status(tmp_path / "x")


def test_a_class() -> None:
    with pytest.raises(InputError, match=r"^batch_size 0"):
        fastcam.Analyzer("resnet18", batch_size=0)


def test_keywords_that_are_handed_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^memory 'x': give a size"):
        fastcam.picture(tmp_path / "r.pkl", "a", memory="x")
