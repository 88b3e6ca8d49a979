"""Text in CSV files that spreadsheets open: never a formula, no control characters, and the
original back when fastcam reads its own files.

OWASP, "CSV Injection": a cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage
return is run as a formula; with an apostrophe in front it is text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

# The full-width forms are formulas in Excel where the language is Japanese or Chinese.
_FORMULA = re.compile(r"'*[=+\-@＝＋－＠]")
_SUSPECT = frozenset("'=+-@＝＋－＠")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)
# As a control character is written; a backslash that would read as one is written so, too.
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")
_AMBIGUOUS = re.compile(r"\\(?=x[0-9a-f]{2})")


def csv_cell(value: object) -> object:
    """``value`` for a cell: a text without control characters that is no formula. Numbers, also
    those in a text, and what is no text stay as they are.

    >>> csv_cell("=1+1"), csv_cell("-1.5"), csv_cell(-1.5), csv_cell("a" + chr(27))
    ("'=1+1", '-1.5', -1.5, 'a\\\\x1b')
    """
    if not isinstance(value, str):
        return value
    printable = value.isprintable()
    if printable and "\\x" not in value and value[:1] not in _SUSPECT:
        return value  # almost every text, without a look at each of its letters
    value = _AMBIGUOUS.sub(r"\\x5c", value)
    if not printable:
        value = "".join(
            f"\\x{ord(letter):02x}" if unicodedata.category(letter) == "Cc" else letter
            for letter in value
        )
    if _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def csv_row(values: Iterable[object]) -> list[object]:
    """Each of ``values`` as :func:`csv_cell` writes it."""
    return [csv_cell(value) for value in values]


def csv_record(values: Mapping[str, object]) -> dict[str, object]:
    """Each value of a row by column as :func:`csv_cell` writes it."""
    return {name: csv_cell(value) for name, value in values.items()}


def original_text(cell: str) -> str:
    """The text that :func:`csv_cell` made ``cell`` of."""
    if cell.startswith("'") and _FORMULA.match(cell):
        cell = cell[1:]
    if "\\x" in cell:
        return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), cell)
    return cell


def original_record(row: Mapping[str, str]) -> dict[str, str]:
    """Each cell of a row by column as :func:`original_text` reads it."""
    return {name: original_text(cell) for name, cell in row.items()}
