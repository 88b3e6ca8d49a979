"""Cells that no spreadsheet runs, and that come back as they were."""

from __future__ import annotations

import csv
import io
import math
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.run.csv_cells import csv_cell, original_text
from fastcam.run.failures import read_failures, write_failures
from fastcam.run.folder import RunFolder
from fastcam.run.records import Failure, FigureRecord

# OWASP, "CSV Injection": what a cell may not begin with.
TRIGGERS = ("=", "+", "-", "@", "\t", "\r", "\n")
TEXTS = st.text() | st.tuples(
    st.sampled_from((*TRIGGERS, "'", "''=", "\\x1b", "\\")), st.text()
).map("".join)


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@settings(deadline=None, max_examples=1000)
@given(TEXTS)
def test_a_text_is_no_formula_and_comes_back(text: str) -> None:
    cell = csv_cell(text)
    assert isinstance(cell, str)
    assert is_number(cell) or not cell.startswith(TRIGGERS)
    assert not any(unicodedata.category(letter) == "Cc" for letter in cell)
    assert original_text(cell) == text


@pytest.mark.parametrize("value", [-1, -1.5, math.inf, None, True, "-1.5", "+3e-7", "-inf"])
def test_numbers_stay_numbers(value: object) -> None:
    assert csv_cell(value) == value


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
        ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "\\x09=1"),
        ("a\x1b[31mred\x9b", "a\\x1b[31mred\\x9b"),
        ("O'Brien", "O'Brien"),
        ("患者 7", "患者 7"),
    ],
)
def test_what_is_written(text: str, cell: str) -> None:
    assert csv_cell(text) == cell


NAME = "=1+1\x1b[2J\n'"


def test_the_journal_reads_its_own_names(tmp_path: Path) -> None:
    record = FigureRecord(
        path="001_a.png", place=1, case=NAME, slice=3, best=False, average=0.5, low=0.0, high=1.0
    )
    (tmp_path / "001_a.png").write_bytes(b"x")
    for _ in range(2):
        with RunFolder(tmp_path, {"a": 1}, overwrite=False) as folder:
            folder.record([record])
    with RunFolder(tmp_path, {"a": 1}, overwrite=False) as folder:
        assert folder.finished == {"001_a.png": record}
    text = (tmp_path / "figures.csv").read_bytes().decode()
    assert "\x1b" not in text
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert rows[0]["case"].startswith("'=1+1")


def test_failures_come_back(tmp_path: Path) -> None:
    failure = Failure("error", 1, NAME, None, 1, "@reason")
    more = replace(failure, case="-2", place=2)
    write_failures(tmp_path, [failure, more])
    assert read_failures(tmp_path) == [failure, more]
    assert "\n'" not in (tmp_path / "failures.csv").read_text()
