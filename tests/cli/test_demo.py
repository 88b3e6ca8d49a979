"""``fastcam demo``: nothing given, a model trained, pictures in both modes, two numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


def test_demo(fastcam: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # a second demo replaces the first
        outcome = fastcam("demo", "--quick", "--workers", 1)
        assert outcome.code == 0, outcome
        look, views = outcome.out.strip().splitlines()[-2:]
        assert look == "look at fastcam-demo/best_slice/index.html first,"
        assert Path(look.split()[2]).is_file()
        assert views == "then at the views of the Vision Transformer in fastcam-demo/vit"
        for words in ("accuracy", "on the lesion", "rollout on the object"):
            assert re.search(rf"{words} +[01]\.\d{{3}} +\(.*: 0\.\d{{3}}\)", outcome.out)
    assert len(list(Path("fastcam-demo/best_slice").glob("*.png"))) == 4
    assert Path("fastcam-demo/all_slices/statistics.png").is_file()
    assert Path("fastcam-demo/model.safetensors").is_file()
    assert len(list(Path("fastcam-demo/vit").glob("vis_[1-7]_*.png"))) == 7


def test_the_commands_it_prints_do_the_same(
    fastcam: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = fastcam("demo", "--quick", "--workers", 1)
    printed = [line.split()[1:] for line in outcome.out.splitlines() if line.startswith("fastcam ")]
    assert [line[0] for line in printed] == ["infer", "render", "render", "vit"]
    again = fastcam(*printed[0])
    assert (again.code, "4 were there already" in again.out) == (0, True), again
    again = fastcam(*printed[1])
    assert (again.code, "4 were there already" in again.out) == (0, True), again
    drawn = Path("fastcam-demo/vit/vis_7_attention_rollout.png")
    first = drawn.read_bytes()
    drawn.unlink()
    again = fastcam(*printed[3])
    assert (again.code, drawn.read_bytes() == first) == (0, True), again


def test_a_file_is_in_the_way(fastcam: Call, tmp_path: Path) -> None:
    (tmp_path / "demo").touch()
    outcome = fastcam("demo", "--output-dir", tmp_path / "demo")
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert "can't be made" in outcome.err
