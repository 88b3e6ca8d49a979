"""Columns of text that line up on a terminal, also where letters are two columns wide."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def width_of(text: str) -> int:
    """Columns on a terminal: CJK letters take two, combining marks none."""
    if text.isascii():
        return len(text)  # the summary of a case of 100 slices asks 1,000 times
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def padded(text: str, width: int) -> str:
    """``text`` with spaces behind it."""
    return text + " " * (width - width_of(text))


def padded_left(text: str, width: int) -> str:
    """``text`` with spaces before it."""
    return " " * (width - width_of(text)) + text


def table(rows: Sequence[Sequence[str]], left: int = 1, gap: str = "  ") -> list[str]:
    """Rows as lines; the first ``left`` columns are flush left, the others flush right."""
    widths = [max(width_of(text) for text in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            (padded if column < left else padded_left)(text, width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(gap.join(cells).rstrip())
    return lines
