"""Support images by class: named, by folder, or all of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fastcam.errors import InputError
from fastcam.jobs.explain.support import support_of
from fastcam.read.inputs.preprocessing import Preprocessing

SPEC = Preprocessing(size=(8, 8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for at, name in enumerate(("benign/a.png", "benign/b.png", "malignant/c.png")):
        path = tmp_path / "support" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), at, np.uint8)).save(path)
    return tmp_path / "support"


def counts(support: Any) -> dict[str, tuple[str, ...]]:
    return {name: given.names for name, given in support_of(support, SPEC).items()}


def test_ways_to_give_them(folder: Path) -> None:
    a, b, c = sorted(folder.rglob("*.png"))
    by_folder = {"benign": ("a.png", "b.png"), "malignant": ("c.png",)}
    assert counts(folder) == by_folder
    assert counts([a, b, str(c)]) == by_folder
    assert counts({"support": [folder / "benign", c]}) == by_folder  # as --support gives them
    assert counts([a, b]) == {"support": ("a.png", "b.png")}
    assert counts({"x": [a], "y": folder / "malignant"}) == {"x": ("a.png",), "y": ("c.png",)}
    assert counts({"x": folder}) == {"x": ("a.png", "b.png", "c.png")}
    assert counts(torch.zeros(2, 3, 8, 8)) == {"support": ("image 0", "image 1")}
    assert counts({"x": np.zeros((9, 9), np.uint8)}) == {"x": ("image 0",)}
    assert counts(None) == {}


@pytest.mark.parametrize(
    ("support", "said"),
    [
        ({}, "no class in it"),
        ({"x": []}, "images is empty"),
        ({"x": ["missing.png"]}, "missing.png: does not exist"),
    ],
)
def test_what_is_no_support(support: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        support_of(support, SPEC)


def test_a_class_given_by_name_and_by_folder(folder: Path) -> None:
    a, _, c = sorted(folder.rglob("*.png"))
    with pytest.raises(InputError, match="class 'benign' is given twice"):
        support_of({"benign": [a], "support": [folder / "benign" / "b.png", c]}, SPEC)
