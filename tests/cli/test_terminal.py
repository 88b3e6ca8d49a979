"""What commands print: a bar or lines of progress, and names without control characters."""

from __future__ import annotations

import io
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.cli import terminal
from fastcam.errors import one_line, plain_lines
from fastcam.run.progress import NoProgress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(terminal.stderr_progress(), terminal.LineProgress)
    monkeypatch.setattr(sys, "stderr", _Terminal())
    assert isinstance(terminal.stderr_progress(), terminal.TerminalProgress)


def test_others_are_told_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    told: list[tuple[str, object]] = []

    class Other(NoProgress):
        def begin(self, what: str, total: int) -> None:
            told.append((what, total))

        def advance(self, count: int) -> None:
            told.append(("", count))

    shown = terminal.stderr_progress(Other())
    shown.note("a")
    shown.begin("figures", 3)
    shown.advance(2)
    shown.end()
    assert told == [("figures", 3), ("", 2)]
    assert "figures: 2/3" in written.getvalue()


def test_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = 100.0
    monkeypatch.setattr("fastcam.cli.terminal.time.monotonic", lambda: now)
    shown = terminal.LineProgress()
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
    monkeypatch.setattr("fastcam.cli.terminal.time.monotonic", lambda: now)
    shown = terminal.LineProgress()
    shown.begin("figures", 0)
    now += 60
    shown.advance(0)  # a summary alone
    shown.end()
    assert capsys.readouterr().err == "figures: 0/0, 0/s, 60.0 s\n"


def test_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = _Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("TERM", "xterm")
    shown = terminal.stderr_progress()
    for _ in range(2):  # figures, then cases measured
        shown.begin("figures", 3)
        shown.advance(0)
        shown.advance(1)
        shown.advance(2)
        shown.end()
    assert "figures" in stderr.getvalue()
    assert "3/3" in stderr.getvalue()


def controls(text: str) -> set[str]:
    return {letter for letter in text if unicodedata.category(letter) == "Cc"}


@settings(deadline=None)
@given(st.text())
def test_nothing_but_line_ends_is_left(text: str) -> None:
    assert not controls(one_line(text))
    assert controls(plain_lines(text)) <= {"\n"}
    assert plain_lines(text).count("\n") == text.count("\n")


def test_what_commands_print(capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\x1b[2Jb\x9bc\x07"
    terminal.print_report({"case": name}, f"first {name}\nsecond")
    terminal.print_log(name)
    terminal.LineProgress().note(name)
    shown = capsys.readouterr()
    assert controls(shown.out) | controls(shown.err) == {"\n"}
    assert "first a\\x1b[2Jb\\x9bc\\x07\nsecond" in shown.err
