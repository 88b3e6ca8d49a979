"""Names reach the terminal without control characters."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.cli.progress import LineProgress
from fastcam.cli.report_output import print_log, print_report
from fastcam.errors import one_line, plain_lines


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
    print_report({"case": name}, f"first {name}\nsecond")
    print_log(name)
    LineProgress().note(name)
    shown = capsys.readouterr()
    assert controls(shown.out) | controls(shown.err) == {"\n"}
    assert "first a\\x1b[2Jb\\x9bc\\x07\nsecond" in shown.err
