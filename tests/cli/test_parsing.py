"""Which checkpoint is of which model, and what they are called side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastcam.cli.parsing import labels_of, pairs_of
from fastcam.errors import InputError


@pytest.mark.parametrize(
    ("models", "checkpoints", "pairs"),
    [
        (["a"], [], [("a", None)]),
        (["a", "b"], [], [("a", None), ("b", None)]),
        (["a"], ["x", "y"], [("a", "x"), ("a", "y")]),
        (["a", "b"], ["x", "y"], [("a", "x"), ("b", "y")]),
        (["a", "a"], ["x", "y"], [("a", "x"), ("a", "y")]),
    ],
)
def test_pairs(models: list[str], checkpoints: list[str], pairs: list) -> None:
    found = pairs_of(models, [Path(name) for name in checkpoints])
    assert [(model, file and str(file)) for model, file in found] == pairs


@pytest.mark.parametrize(("models", "checkpoints"), [("ab", "x"), ("ab", "xyz"), ("abc", "xy")])
def test_numbers_that_do_not_fit(models: str, checkpoints: str) -> None:
    with pytest.raises(InputError, match=f"{len(models)} --model and {len(checkpoints)} --check"):
        pairs_of(list(models), [Path(name) for name in checkpoints])


def test_the_same_twice() -> None:
    with pytest.raises(InputError, match=r"--model a with --checkpoint x\.pth is given twice"):
        pairs_of(["a"], [Path("x.pth"), Path("x.pth")])


@pytest.mark.parametrize(
    ("pairs", "labels"),
    [
        ([("a", "x.pth")], [""]),
        ([("a", "x.pth"), ("b", "x.pth")], ["a", "b"]),
        ([("a", "x.pth"), ("a", "y.pth")], ["x", "y"]),
        ([("a", "1/best.pth"), ("a", "2/best.pth")], ["1/best", "2/best"]),
        ([("a", "1/best.pth"), ("a", "1/best.pt")], ["1/best.pth", "1/best.pt"]),
    ],
)
def test_labels(pairs: list[tuple[str, str]], labels: list[str]) -> None:
    assert labels_of([(model, Path(file)) for model, file in pairs]) == labels
