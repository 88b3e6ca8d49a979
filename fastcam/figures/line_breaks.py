"""Lines of a text that is wider than its place."""

from __future__ import annotations

from collections.abc import Callable

# Facts of one line are written with this between them.
_APART = "   "


def break_lines(text: str, room: float, length: Callable[[str], float]) -> str:
    """``text`` with as many more line ends as it needs to be at most ``room`` wide.

    Between facts first, which three spaces part, then between words; a word that is longer than
    ``room`` stays whole. ``length``: the width of a line.
    """
    lines = []
    for line in text.split("\n"):
        lines += [line] if length(line) <= room else _filled(line, room, length, _APART)
    return "\n".join(lines)


def _filled(line: str, room: float, length: Callable[[str], float], between: str) -> list[str]:
    lines: list[str] = []
    for part in line.split(between):
        longer = f"{lines[-1]}{between}{part}" if lines else part
        if lines and length(longer) <= room:
            lines[-1] = longer
        elif between == " " or length(part) <= room:
            lines.append(part)
        else:
            lines += _filled(part, room, length, " ")
    return lines
