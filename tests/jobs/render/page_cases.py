"""The data of a page read back in Python, after what the docstrings say of their form."""

from __future__ import annotations

import re
from typing import Any


def unpacked(column: Any, count: int) -> list[Any]:
    """The values of a packed column."""
    if isinstance(column, list):
        return column
    (form, value), *rest = column.items()
    if form == "all":
        return [value] * count
    if form == "from":
        return list(range(value, value + count))
    if form == "over":
        return [None if whole is None else whole / value for whole in rest[0][1]]
    if form == "digits":
        return [int(digit) for digit in value]
    if form == "prefix":
        return [value + text for text in rest[0][1].split("|")]
    return [value[number] for number in unpacked(rest[0][1], count)]


def cases_of(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The cases with all they say; ``figures`` are (slice, average, path, panels)."""
    cases = data["cases"]
    count, figures = cases["count"], cases["figures"]
    columns = {name: unpacked(column, count) for name, column in cases["columns"].items()}
    made = [{name: values[at] for name, values in columns.items()} for at in range(count)]
    counts, slices = unpacked(figures["count"], count), unpacked(figures["slices"], count)
    total = sum(counts)
    flat = {name: unpacked(figures[name], total) for name in ("average", "path", "layout")}
    first = 0
    for case, own_count, own in zip(made, counts, slices, strict=True):
        numbers = own if isinstance(own, list) else range(own, own + own_count)
        case["figures"] = []
        for at, number in enumerate(numbers):
            average = flat["average"][first]
            fields = {
                "p": f"{case['place']:03d}",
                "n": case["name"],
                "s": f"{number:03d}",
                "k": str(number),
                "b": "BEST_" if case["best"] and at == case["shown"] else "",
                "a": "" if average is None else f"{average:.4f}",
            }
            folder, path = (
                _written(data["patterns"], text, fields)
                for text in (case["folder"], flat["path"][first])
            )
            layouts = data["layouts"] or [""]
            panels = layouts[flat["layout"][first]]
            case["figures"].append((number, average, folder + path, panels))
            first += 1
        if case["summary"] != "":
            parts = (case["folder"], case["summary"])
            texts = [_written(data["patterns"], part, fields) for part in parts]
            case["summary"] = "".join(texts)
    return made


def _written(patterns: list[str], path: int | str, fields: dict[str, str]) -> str:
    if isinstance(path, str):
        return path
    return re.sub(r"\{(.)\}", lambda match: fields[match[1]], patterns[path])
