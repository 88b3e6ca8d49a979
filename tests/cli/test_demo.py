"""``fastcam demo``: nothing given, pictures in both modes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


def test_demo(fastcam: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # a second demo replaces the first
        outcome = fastcam("demo", "--cases", 1, "--workers", 1)
        assert outcome.code == 0, outcome
        look = outcome.out.strip().splitlines()[-1]
        assert look == "look at fastcam-demo/best_slice/index.html first"
        assert Path(look.split()[2]).is_file()
        assert "/s)" in outcome.out
    assert len(list(Path("fastcam-demo/all_slices/001_neck_001").glob("*.png"))) == 40
    assert Path("fastcam-demo/all_slices/statistics.png").is_file()


def test_a_file_is_in_the_way(fastcam: Call, tmp_path: Path) -> None:
    (tmp_path / "demo").touch()
    outcome = fastcam("demo", "--output-dir", tmp_path / "demo")
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert "can't be made" in outcome.err
