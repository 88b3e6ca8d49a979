"""How far a run is, as ``fastcam status`` prints it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fastcam.run.run_status import DEAD, RunState

# A run that counts writes once a second; one image may take minutes.
_SILENCE = timedelta(minutes=10)


def state_dict(folder: Path, state: RunState) -> dict[str, Any]:
    """The result that ``--json`` prints."""
    left = state.seconds_left
    return {
        "output_dir": str(folder),
        "command": state.command,
        "status": state.status,
        "process": state.process,
        "host": state.host,
        "started": state.started.isoformat(timespec="seconds"),
        "updated": state.updated.isoformat(timespec="seconds"),
        "unit": state.unit,
        "total": state.total,
        "done": state.done,
        "left": state.left,
        "per_second": round(state.per_second, 2),
        "seconds_left": None if left is None else round(left, 1),
        "failed": state.failed,
        "reason": state.reason,
    }


def state_text(folder: Path, state: RunState, now: datetime | None = None) -> str:
    """A few lines for people; ``now``: the time in UTC, by default that of the clock."""
    now = now or datetime.now(UTC)
    lines = [f"{folder}: fastcam {state.command}, {_status_text(state, now)}"]
    if state.unit:
        unit = state.unit
        line = f"{unit}: {state.done} of {state.total} done by this run, {state.left} left"
        if state.per_second:
            line += f", {state.per_second:.3g}/s"
        if state.seconds_left is not None:
            line += f", {duration_text(state.seconds_left)} to go"
        lines.append(line)
    lines.append(f"failures so far: {state.failed}")
    return "\n".join(lines)


def _status_text(state: RunState, now: datetime) -> str:
    process = f"process {state.process} on {state.host}"
    again = "run the same command again to go on"
    if state.status == "running":
        text = f"running for {_since(state.started, now)} ({process})"
        if now - state.updated > _SILENCE:
            text += f"; wrote last {_since(state.updated, now)} ago"
        return text
    ended = f"{_since(state.updated, now)} ago"
    if state.status == "finished":
        return f"finished {ended}, after {_since(state.started, state.updated)}"
    if state.status == "interrupted":
        return f"interrupted {ended}; {again}"
    if state.status == "dead":
        return f"its {process} {DEAD}, and wrote last {ended}; {again}"
    return f"failed {ended}: {state.reason}"


def _since(start: datetime, end: datetime) -> str:
    return duration_text((end - start).total_seconds())


def duration_text(seconds: float) -> str:
    """A time as people say it, in its two largest units.

    >>> duration_text(59.4), duration_text(3725), duration_text(200000)
    ('59 s', '1 h 2 min', '2 d 7 h')
    """
    rest = max(0, round(seconds))
    parts: list[str] = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        parts.append(f"{count} {name}" if count else "")
    first = next((index for index, part in enumerate(parts) if part), 0)
    return " ".join(filter(None, parts[first : first + 2])) or "0 s"
