"""What ``fastcam status`` prints, by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fastcam.jobs.inspect.run_state import duration_text, state_dict, state_text
from fastcam.run.run_status import RunState, Status

START = datetime(2026, 11, 29, 1, 0, tzinfo=UTC)
STATE = RunState(
    command="infer",
    status="running",
    process=12,
    host="node7",
    started=START,
    updated=START + timedelta(hours=1),
    unit="images",
    total=9000,
    done=3000,
    seconds=3000.0,
    failed=4,
    reason="",
)


def lines(state: RunState, minutes: float) -> list[str]:
    return state_text(Path("run"), state, state.updated + timedelta(minutes=minutes)).split("\n")


def test_a_run_that_goes_on() -> None:
    assert lines(STATE, 0) == [
        "run: fastcam infer, running for 1 h (process 12 on node7)",
        "images: 3000 of 9000 done by this run, 6000 left, 1/s, 1 h 40 min to go",
        "failures so far: 4",
    ]
    assert lines(STATE, 25)[0].endswith("; wrote last 25 min ago")


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("finished", "finished 5 min ago, after 1 h"),
        ("interrupted", "interrupted 5 min ago; run the same command again to go on"),
        ("failed", "failed 5 min ago: the disk is full"),
        (
            "dead",
            "its process 12 on node7 ended without saying so (it was killed, or its folder could "
            "not be written to), and wrote last 5 min ago; run the same command again to go on",
        ),
    ],
)
def test_a_run_that_ended(status: Status, text: str) -> None:
    ended = replace(STATE, status=status, reason="the disk is full")
    assert lines(ended, 5)[0] == f"run: fastcam infer, {text}"
    assert "to go" not in lines(ended, 5)[1]


def test_before_the_first_stage() -> None:
    assert len(lines(replace(STATE, unit="", total=0, done=0, seconds=0.0), 0)) == 2


def test_for_programs() -> None:
    record = state_dict(Path("run"), STATE)
    assert (record["left"], record["per_second"], record["seconds_left"]) == (6000, 1.0, 6000.0)
    assert state_dict(Path("run"), replace(STATE, status="dead"))["seconds_left"] is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (0.4, "0 s"), (60, "1 min"), (61, "1 min 1 s"), (86400, "1 d")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
