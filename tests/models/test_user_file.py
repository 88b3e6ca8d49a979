"""Models that a user's own Python file makes: ``--model file.py:factory``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from fastcam.errors import InputError
from fastcam.models.registry import load_model

pytestmark = pytest.mark.filterwarnings("ignore:.*weights are random")

FILE = """
from dataclasses import dataclass
from torch import nn
from layers import WIDTH

@dataclass
class Options:
    "Needs its module in sys.modules."
    a: int = 1

def make(num_classes=2):
    return nn.Linear(WIDTH, num_classes)

def plain():
    return nn.Linear(3, 3)

def takes_all(**options):
    return nn.Linear(1, options["num_classes"])

class Net(nn.Module):
    pass

ready = nn.Linear(3, 4)
number = 5

def wrong():
    return 3

def broken():
    raise ZeroDivisionError("no")

def in_a_library():
    return nn.Linear(-1, "three")

def required(num_classes, in_channels):
    return nn.Linear(in_channels, num_classes)

def own_argument(width, num_classes):
    return nn.Linear(width, num_classes)
"""


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    (tmp_path / "layers.py").write_text("WIDTH = 7\n")
    (tmp_path / "my model.py").write_text(FILE)
    return tmp_path / "my model.py"


def test_a_file_of_ones_own(user_file: Path, tmp_path: Path) -> None:
    before = list(sys.path)
    assert load_model(f"{user_file}:make").weight.shape == (2, 7)
    assert load_model(f"{user_file}:make", num_classes=4).weight.shape == (4, 7)
    assert load_model(f"{user_file}:takes_all", num_classes=4).weight.shape == (4, 1)
    assert load_model(f"{user_file}:plain", image_size=32).weight.shape == (3, 3)
    assert load_model(f"{user_file}:ready").weight.shape == (4, 3)
    assert isinstance(load_model(f"{user_file}:Net"), nn.Module)
    torch.save(nn.Linear(7, 2).state_dict(), tmp_path / "w.pth")
    assert not load_model(f"{user_file}:make", tmp_path / "w.pth").training
    assert sys.path == before


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("mak", "has no function 'mak'; it has make"),
        ("number", "is a int, not a function"),
        ("wrong", "returns a int, not a torch.nn.Module"),
        ("broken", r"fails at my model\.py, line 30: ZeroDivisionError: no"),
        ("in_a_library", r"fails at my model\.py, line 33: \w+Error: "),
        (
            "required",
            r"needs num_classes, in_channels; give --num-classes and --in-channels$",
        ),
        (
            "own_argument",
            r"needs width, num_classes; only num_classes, in_channels, image_size can be given",
        ),
    ],
)
def test_mistakes_in_a_file_of_ones_own(user_file: Path, factory: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_model(f"{user_file}:{factory}")


def test_files_that_can_not_be(user_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such Python file"):
        load_model("nowhere/x.py:make")
    with pytest.raises(InputError, match=r"^s3://b/x\.py: code is run from files of this machine"):
        load_model("s3://b/x.py:make")
    with pytest.raises(InputError, match="takes no num_classes; leave --num-classes out"):
        load_model(f"{user_file}:plain", num_classes=3)
    user_file.write_text("import torch\ndef f(:\n")
    with pytest.raises(InputError, match=r"fails at my model\.py, line 2: SyntaxError"):
        load_model(f"{user_file}:f")


def test_a_file_without_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text("raise OSError\ndef build(): ...\nclass Net: ...\ndef small(): ...\n")
    for name in ("net.py", "net", "net:build", "net.py:"):
        with pytest.raises(InputError, match=r"returns the model: net\.py:build or net\.py:small$"):
            load_model(name)
    Path("net.py").write_text("def build(:")
    with pytest.raises(InputError, match=r"returns the model: net\.py:FUNCTION$"):
        load_model("net.py")
