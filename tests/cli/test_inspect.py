"""``fastcam inspect`` on the terminal and as JSON."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastcam.demo.neck_set import SyntheticSet

Call = Callable[..., Any]


def test_results_file(fastcam: Call, neck: SyntheticSet) -> None:
    outcome = fastcam("inspect", neck.results)
    assert outcome.code == 0
    for word in ("results file (pkl)", "neck_001", "neck_003", "3 of 3"):
        assert word in outcome.out


def test_rows(fastcam: Call, neck: SyntheticSet) -> None:
    few = fastcam("inspect", neck.results, "--rows", 1).out
    assert "neck_001" in few
    assert "neck_002" not in few
    assert "and 2 more; --rows 0 shows all" in few
    assert "neck_003" in fastcam("inspect", neck.results, "--rows", 0).out


def test_run_store_as_json(fastcam: Call, render: Call, tmp_path: Path) -> None:
    assert render().code == 0
    outcome = fastcam("inspect", tmp_path / "out" / "run.zarr", "--json")
    found = json.loads(outcome.out)
    assert found["kind"] == "run store"
    assert [case["name"] for case in found["table"]] == ["neck_001", "neck_002", "neck_003"]


def test_bad_cases_are_told(fastcam: Call, records: list[dict[str, Any]], tmp_path: Path) -> None:
    records[1]["attention_weights"][0] = -1
    path = tmp_path / "results.pkl"
    path.write_bytes(pickle.dumps(records))
    outcome = fastcam("inspect", path)
    assert outcome.code == 0
    assert "error: case 2 neck_002" in outcome.out
    assert "attention_weights[0] is -1.0" in outcome.out


def test_terminal_codes_are_not_sent(
    fastcam: Call, records: list[dict[str, Any]], tmp_path: Path
) -> None:
    records[0]["patient_name"] = "a\x1b[31m\n[bold]b"
    path = tmp_path / "results.pkl"
    path.write_bytes(pickle.dumps(records))
    outcome = fastcam("inspect", path)
    assert "\x1b" not in outcome.out
    assert "[bold]b" in outcome.out


@pytest.mark.parametrize("name", ["none.pkl", "folder", "notes.txt"])
def test_what_it_cannot_look_into(fastcam: Call, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    outcome = fastcam("inspect", tmp_path / name)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert str(tmp_path / name) in outcome.err


def test_a_size_that_the_model_cannot_see(fastcam: Call, tmp_path: Path) -> None:
    model = tmp_path / "fixed.py"
    model.write_text(
        "from torch import nn\n"
        "def build():\n"
        "    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2 * 6 * 6, 2))\n"
    )
    assert fastcam("inspect", "--model", f"{model}:build", "--image-size", 8).code == 0
    outcome = fastcam("inspect", "--model", f"{model}:build", "--image-size", 9)
    assert outcome.code == 2
    line = outcome.err.splitlines()[-1]
    assert "the model fails on a batch of shape (1, 3, 9, 9)" in line
    assert "check --image-size" in line
