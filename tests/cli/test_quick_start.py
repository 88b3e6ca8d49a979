"""``fastcam analyze`` without arguments."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from fastcam.cli import quick_start

Call = Callable[..., Any]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "images"


def test_quick_start_off_a_terminal(
    fastcam: Call, tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "best.pth").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    made = fastcam("analyze")
    assert made.code == 2
    assert "--model and --images missing" in made.err
    assert "--checkpoint best.pth --images images" in made.err
    assert made.err.count("\n") == 1
    assert not (tmp_path / "fastcam-analyze").exists()


def test_quick_start_asks_on_a_terminal(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(typer, "echo", lambda *_, **__: None)
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: True)
    answers = iter([7, 1, "resnet18"])
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: next(answers))
    (tmp_path / "best.pth").write_bytes(b"")
    found = quick_start.quick_start(None, None, (), tmp_path)
    assert found == quick_start.QuickStart("resnet18", tmp_path / "best.pth", (images,))
