"""``make gpu-check`` without a GPU, with steps that end in every way, and its own options."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks import gpu_check
from benchmarks.gpu_check import LIMIT, STEPS, Step, run_steps


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_check"])
    assert gpu_check.main() == 2
    error = capsys.readouterr().err
    assert error.startswith("gpu-check: PyTorch ")
    assert error.count("\n") == 1


def test_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = [
        Step("fine", ("-c", "print('hello')"), 30),
        Step("wrong", ("-c", "raise SystemExit(3)"), 30),
        Step("slow", ("-c", "import time; time.sleep(60)"), 1),
    ]
    start = time.monotonic()
    assert run_steps(steps, 100, tmp_path) == ["wrong", "slow"]
    assert time.monotonic() - start < 60
    shown = capsys.readouterr().out
    assert "fine: done" in shown
    assert "wrong: failed with exit code 3" in shown
    assert "slow: stopped after 1 s" in shown
    assert (tmp_path / "fine.txt").read_text() == "hello\n"
    assert run_steps([Step("late", ("-c", ""), 30)], -1, tmp_path) == ["late"]


def test_it_takes_eight_minutes_at_most() -> None:
    assert sum(step.seconds for step in STEPS) <= LIMIT == 480


@pytest.mark.parametrize("step", STEPS[1:], ids=lambda step: step.name)
def test_the_options_are_those_of_the_benchmarks(step: Step) -> None:
    path = Path(gpu_check.__file__).with_name(f"bench_{step.name}.py")
    text = path.read_text(encoding="utf-8")
    given = [word for word in step.arguments if word.startswith("--")]
    assert all(f'"{option}"' in text for option in [*given, "--json"])


def test_the_tests_are_there() -> None:
    arguments = [*STEPS[0].arguments, "--collect-only"]
    found = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert "test_cuda.py" in found.stdout
