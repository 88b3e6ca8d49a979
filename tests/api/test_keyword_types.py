"""Arguments of a kind that a function doesn't take are refused in one line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import fastcam
from fastcam.api import view_request
from fastcam.api.keyword_types import check_types, plain_numbers
from fastcam.errors import InputError
from tests.jobs.view.sample_rooms import patch_run


def check_view(*runs: Any, **keywords: Any) -> None:
    function: Any = fastcam.view
    check_types(function.__wrapped__, runs, keywords, view_request.view_request)


@pytest.mark.parametrize(
    "keywords",
    [
        {"top_k": 2, "heat_alpha": 1, "class_names": ["a"], "window": "brain"},
        {"top_k": np.int64(2), "heat_alpha": np.float32(0.5), "class_names": np.array(["a"])},
        {"root_dir": Path("x"), "window": [40, 80], "names": ("a",)},
        {"root_dir": "x", "window": None, "blind": np.bool_(True)},
    ],
)
def test_what_fits_is_taken(keywords: dict[str, Any]) -> None:
    check_view("r", **keywords)


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({"top_k": "3"}, "top_k '3': give a whole number"),
        ({"top_k": 1.5}, "top_k 1.5: give a whole number"),
        ({"top_k": True}, "top_k True: give a whole number"),
        ({"heat_alpha": "x"}, "heat_alpha 'x': give a number"),
        ({"colormap": 3}, "colormap 3: give a text"),
        ({"class_names": "ab"}, "class_names 'ab': give a list of texts"),
        ({"class_names": [1]}, "class_names [1]: give a list of texts"),
        ({"root_dir": 5}, "root_dir 5: give a path or None"),
        ({"blind": "no"}, "blind 'no': give True or False"),
        ({"window": 5}, "window 5: give a text or a list of numbers or None"),
        ({"scale": None}, "scale None: give 'slice' or 'patient' or 'cohort' or 'rank'"),
        ({"height": "x"}, "height 'x': give a whole number"),
    ],
)
def test_what_does_not_fit_is_said(keywords: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        check_view("r", **keywords)
    assert str(caught.value) == told


def test_several_are_looked_at_one_by_one() -> None:
    check_view("a", Path("b"))
    with pytest.raises(InputError, match=r"^runs \['a'\]: give a path$"):
        check_view(["a"])


@pytest.mark.parametrize(
    ("name", "arguments", "keywords", "told"),
    [
        ("render", [5], {}, "results 5: give a path"),
        ("render", ["r"], {"patients": "a"}, "patients 'a': give a list of texts"),
        ("infer", ["resnet18", "i"], {"batch_size": "8"}, "batch_size '8': give a whole number"),
        ("Analyzer", ["resnet18"], {"image_size": "224"}, "image_size '224': give a whole number"),
    ],
)
def test_every_function_says_it(
    name: str, arguments: list[Any], keywords: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        getattr(fastcam, name)(*arguments, output_dir=tmp_path / "out", **keywords)
    assert str(caught.value).startswith(told)
    assert not (tmp_path / "out").exists()


def test_an_unknown_or_missing_argument_is_said_by_python() -> None:
    with pytest.raises(TypeError, match="nonsense"):
        fastcam.render("r", output_dir="o", nonsense=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="output_dir"):
        fastcam.render("r")  # type: ignore[call-arg]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("run")
    return {"run": patch_run(folder), "root_dir": folder / "images"}


def pixels(run: dict[str, Any], case: Any, **keywords: Any) -> np.ndarray:
    return fastcam.picture(case=case, **run, **keywords).pixels


def test_a_case_by_its_number(run) -> None:
    for number, name in enumerate(("p0", "p1", "p2")):
        expected = pixels(run, name)
        assert (pixels(run, number) == expected).all()
        assert (pixels(run, np.int64(number - 3)) == expected).all()
    assert (pixels(run, 0) != pixels(run, 1)).any()


@pytest.mark.parametrize(
    ("case", "keywords", "told"),
    [
        (3, {}, "case 3: there are 3 cases, counted from 0"),
        (-4, {}, "case -4: there are 3 cases"),
        ("p9", {}, "'p9' is not among the 3 cases"),
        (None, {}, "case None: give a text or a whole number"),
        (0, {"slice": "x"}, "slice 'x': give a whole number or None"),
        (0, {"axis": 7}, "axis 7: p0 has pictures along 0, 1, 2"),
        (0, {"panel": "difference"}, "panel 'difference' is not known: use one of image"),
        (0, {"window": (5, 1)}, "window (5, 1): give two numbers, the lower one first"),
        (0, {"limits": (0, float("nan"))}, "limits (0, nan): give two numbers"),
        (0, {"limits": (1,)}, "limits (1,): give 2 numbers or None"),
        (0, {"map": 9}, "has no map 9"),
        (0, {"map": -1}, "has no map -1"),
        (0, {"head": 9}, "has no head 9 in attention"),
        (0, {"slice": 99}, "has no slice 99"),
    ],
)
def test_a_picture_that_is_none(run, case, keywords: dict[str, Any], told: str) -> None:
    with pytest.raises(fastcam.FastcamError) as caught:
        pixels(run, case, **keywords)
    assert str(caught.value).startswith(told)


def test_numbers_of_numpy_become_pythons() -> None:
    """So that a run's settings can hold them."""

    def function(
        size: int | Sequence[int] | None, share: float, *runs: str, images: Any = None, **more: Any
    ) -> None: ...

    def options(names: Sequence[str], pair: tuple[float, float]) -> None: ...

    pixels = np.zeros((2, 2))
    args, keywords = plain_numbers(
        function,
        [np.array([24, 32]), np.float32(0.5), "a"],
        {"images": pixels, "names": np.array(["b"]), "pair": (np.int64(1), 2.5)},
        options,
    )
    assert args == ([24, 32], 0.5, "a")
    assert [type(value) for value in (*args[0], args[1])] == [int, int, float]
    assert keywords.pop("images") is pixels
    assert keywords == {"names": ["b"], "pair": (1, 2.5)}
    assert type(keywords["pair"][0]) is int
    args, _ = plain_numbers(function, [(np.int64(24), 32), 1], {})
    assert args == ((24, 32), 1)
    assert type(args[0][0]) is int


@pytest.mark.parametrize(
    ("arguments", "keywords", "told"),
    [
        (["resnet18", np.zeros((4, 4))], {}, "images array([[0., 0., 0., 0.], [0., 0., 0., 0.]"),
        (["i", nn.MultiheadAttention(4, 1)], {}, "images MultiheadAttention( (out_proj): "),
        (["resnet18", "i"], {"workers": -1}, "workers -1 is too small: it must be at least 0"),
    ],
)
def test_what_infer_does_not_take_is_one_line(
    arguments: list[Any], keywords: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        fastcam.infer(arguments[0], arguments[1], tmp_path / "out", **keywords)
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


def test_what_is_no_path_is_no_path() -> None:
    with pytest.raises(InputError, match=r"^int is no path: give a text or a pathlib\.Path$"):
        fastcam.open_store(5)  # type: ignore[arg-type]
