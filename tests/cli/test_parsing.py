"""Which checkpoint is of which model, and what they are called side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastcam.cli.parsing import pair_models, parse_patients, split_layers, split_methods
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
    found = pair_models(models, [Path(name) for name in checkpoints])
    assert [(model, file and str(file)) for model, file in found] == pairs


@pytest.mark.parametrize(("models", "checkpoints"), [("ab", "x"), ("ab", "xyz"), ("abc", "xy")])
def test_numbers_that_do_not_fit(models: str, checkpoints: str) -> None:
    with pytest.raises(InputError, match=f"{len(models)} --model and {len(checkpoints)} --check"):
        pair_models(list(models), [Path(name) for name in checkpoints])


def test_the_same_twice() -> None:
    with pytest.raises(InputError, match=r"--model a with --checkpoint x\.pth is given twice"):
        pair_models(["a"], [Path("x.pth"), Path("x.pth")])


def test_patients_from_a_file(tmp_path: Path) -> None:
    names = tmp_path / "cases.txt"
    names.write_text("a\n\n b b \nc\n")
    assert parse_patients(["x", f"@{names}", "a"]) == ("x", "a", "b b", "c")
    assert parse_patients(None) == ()
    names.write_text("\n \n")
    with pytest.raises(InputError, match="the file has no name"):
        parse_patients([f"@{names}"])
    with pytest.raises(InputError, match=r"--patient @.*none\.txt: .*can't be read"):
        parse_patients([f"@{tmp_path}/none.txt"])


def test_names_with_commas() -> None:
    assert split_methods(["gradcam, legrad", "rollout"]) == ["gradcam", "legrad", "rollout"]
    assert split_methods(None) == []
    assert split_layers(["layer3,layer4", "attention=0,-1"]) == [
        "layer3", "layer4", "attention=0", "attention=-1",
    ]  # fmt: skip
    with pytest.raises(InputError, match="--method 'gradcam,': a name is missing"):
        split_methods(["gradcam,"])
