"""The results file as JSON: the pickled list of dicts, with lists for arrays."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from fastcam.errors import InputError

# Smaller files are read at once.
_LARGE = 16 << 20
# Letters that are looked at together, at least.
_WINDOW = 4 << 20
_BLANK = re.compile(r"[ \t\n\r]*")
_BROKEN = (ValueError, RecursionError)


def load_parts(path: Path) -> Iterator[object]:
    """What is in a JSON file, as Python lists and dicts: a large list in parts, which are lists.

    Raises InputError when it is no JSON, of a large file also behind some of its parts.
    """
    taken = 0
    try:
        if path.stat().st_size >= _LARGE:
            with suppress(*_BROKEN), path.open(encoding="utf-8-sig") as file:
                for item in _items(file):
                    taken += 1
                    yield [item]
                return
        loaded = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except _BROKEN as error:
        raise InputError(f"{path}: is not a complete JSON file: {error}") from error
    yield loaded[taken:] if taken and isinstance(loaded, list) else loaded


def _items(file: TextIO) -> Iterator[object]:
    """The items of the list in a file, one by one; ValueError where it isn't one."""
    scan = json.JSONDecoder().raw_decode
    text = file.read(_WINDOW)
    start = _behind_blank(text, 0)
    if text[start : start + 1] != "[":
        raise ValueError("no list")
    start = _behind_blank(text, start + 1)
    while True:
        error: ValueError | None = None
        end = len(text)
        try:
            item, end = scan(text, start)
        except ValueError as caught:
            error = caught
        end = _behind_blank(text, end)
        if end == len(text):
            # Cut by the window, even where it could be read: of 12 only 1 may be there.
            more = file.read(max(_WINDOW, len(text) - start))
            if not more:
                raise error or ValueError("the list doesn't end")
            text, start = text[start:] + more, 0
            continue
        yield item
        del item
        if text[end] == "]":
            break
        if text[end] != ",":
            raise ValueError("no list")
        start = _behind_blank(text, end + 1)
    if (text[end + 1 :] + file.read()).strip(" \t\n\r"):
        raise ValueError("something behind the list")


def _behind_blank(text: str, start: int) -> int:
    match = _BLANK.match(text, start)
    return match.end() if match else start
