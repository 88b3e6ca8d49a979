"""Training on the made-up faces: the error falls, the seed decides, the file loads and answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from fastcam.demo.age_set import make_ages
from fastcam.demo.train_age import MODEL_NAME, TrainSettings, train
from fastcam.errors import InputError
from fastcam.models.registry import load_model
from fastcam.models.training import normalize, save_weights

TINY = {"faces": 16, "epochs": 2, "batch": 8, "width": 4}


def test_the_seed_decides_and_nothing_outside_changes() -> None:
    before = torch.random.get_rng_state()
    numbers: list[int] = []
    first, same, other = (
        train(TrainSettings(**TINY, seed=seed), lambda number, _: numbers.append(number))[
            0
        ].state_dict()
        for seed in (1, 1, 2)
    )
    assert numbers == [1, 2] * 3
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)
    assert torch.equal(before, torch.random.get_rng_state())


def test_answers_are_years_of_the_file_that_was_saved(aged: Any, tmp_path: Path) -> None:
    made = make_ages(20, seed=3)
    with torch.no_grad():
        years = aged.model(normalize(made.images))[:, 0]
        loaded = load_model(aged.name, aged.checkpoint)
        assert torch.equal(loaded(normalize(made.images))[:, 0], years)
    assert (years - torch.from_numpy(made.ages)).abs().mean() < 7
    path = tmp_path / "again.safetensors"
    save_weights(aged.model, path)
    assert path.read_bytes() == aged.checkpoint.read_bytes()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"epochs": 0}, "epochs 0"),
        ({"width": 0}, "width 0"),
        ({"batch": 1}, "batch 1"),
        ({"batch": 700}, "batch 700"),
        ({"learning_rate": 0.0}, "learning_rate"),
    ],
)
def test_settings_are_checked(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        TrainSettings(**wrong)


def test_the_script_refuses_no_epochs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fastcam.demo.train_age", "--epochs", "0"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "a")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert MODEL_NAME.endswith("age_net.py:AgeNet")
