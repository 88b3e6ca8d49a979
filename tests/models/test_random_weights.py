"""Models without a checkpoint: known as such, and the same in every run."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from fastcam.models.checkpoints import read_state_dict
from fastcam.models.random_weights import has_random_weights
from fastcam.models.registry import load_model


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny"])
@pytest.mark.filterwarnings("ignore:.*weights are random")
def test_they_are_the_same_in_every_run_and_leave_the_random_state_alone(name: str) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = load_model(name, num_classes=2, image_size=32)
    assert torch.equal(torch.rand(3), expected)
    second = load_model(name, num_classes=2, image_size=32)
    assert torch.rand(1) != expected[0]
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
    assert has_random_weights(first)
    assert has_random_weights(nn.Sequential(first))


@pytest.mark.filterwarnings("ignore:.*weights are random")
def test_loaded_weights_and_models_of_ones_own_are_not_random(tmp_path: Path) -> None:
    random = load_model("resnet18", num_classes=2)
    path = tmp_path / "a.pth"
    torch.save(random.state_dict(), path)
    assert read_state_dict(path)
    assert not has_random_weights(load_model("resnet18", path))
    assert not has_random_weights(load_model(nn.Conv2d(1, 1, 1)))


FACTORIES = """
import torch
from pathlib import Path
from torch import nn
count = []

def random():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))

def loaded():
    model = random()
    model.load_state_dict(torch.load(Path(__file__).with_name("w.pth")))
    return model

def backbone_loaded():
    return nn.Sequential(loaded(), nn.Linear(3, 2))

def once():
    if count:
        raise RuntimeError("a second time")
    count.append(1)
    return random()

def constant():
    return nn.BatchNorm1d(3)

def lazy():
    return nn.Sequential(nn.LazyLinear(3))

def speaks():
    print("made")
    return random()

def changes_the_one_it_has(model=random()):
    return model
"""


@pytest.mark.parametrize(
    ("factory", "expected"),
    [
        ("random", True),
        ("speaks", True),
        ("loaded", False),
        ("backbone_loaded", False),
        ("once", False),
        ("constant", False),
        ("lazy", False),
        ("changes_the_one_it_has", False),
    ],
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_a_factory_that_loads_nothing_gives_random_weights(
    factory: str, expected: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "own.py"
    file.write_text(FACTORIES, encoding="utf-8")
    saved = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).state_dict()
    torch.save(saved, tmp_path / "w.pth")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.manual_seed(5)
        model = load_model(f"{file}:{factory}")
    assert has_random_weights(model) == expected
    assert any("weights are random" in str(warning.message) for warning in said) == expected
    assert capsys.readouterr().out == "made\n" * (factory == "speaks")
    if factory == "random":
        again = load_model(f"{file}:{factory}", tmp_path / "w.pth")
        assert not has_random_weights(again)
