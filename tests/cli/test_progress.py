"""Progress: a bar on a terminal, lines elsewhere, nothing that fails on odd numbers."""

from __future__ import annotations

import io
import sys

import pytest

from fastcam.cli import progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(progress.for_stderr(), progress.LineProgress)
    monkeypatch.setattr(sys, "stderr", _Terminal())
    assert isinstance(progress.for_stderr(), progress.TerminalProgress)


def test_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = 100.0
    monkeypatch.setattr("fastcam.cli.progress.time.monotonic", lambda: now)
    shown = progress.LineProgress()
    shown.begin("figures", 100)
    now += 2
    shown.advance(10)
    assert capsys.readouterr().err == ""  # too early for a line
    now += 4
    shown.advance(20)
    assert capsys.readouterr().err == "figures: 30/100, 5/s, 14 s left\n"
    now += 4
    shown.advance(70)
    shown.end()
    assert capsys.readouterr().err == "figures: 100/100, 10/s, 10.0 s\n"


def test_items_without_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr("fastcam.cli.progress.time.monotonic", lambda: now)
    shown = progress.LineProgress()
    shown.begin("figures", 0)
    now += 60
    shown.advance(0)  # a summary alone
    shown.end()
    assert capsys.readouterr().err == "figures: 0/0, 0/s, 60.0 s\n"


def test_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    shown = progress.for_stderr()
    for _ in range(2):  # figures, then cases measured
        shown.begin("figures", 3)
        shown.advance(0)
        shown.advance(1)
        shown.advance(2)
        shown.end()
    assert "figures" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()
