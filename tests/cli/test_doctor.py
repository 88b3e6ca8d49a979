"""``fastcam doctor``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from fastcam import __version__
from fastcam.jobs.inspect import doctor

Call = Callable[..., Any]


def test_sections(fastcam: Call) -> None:
    outcome = fastcam("doctor")
    for word in ("versions", "images", "machine", "cores", __version__):
        assert word in outcome.out


def test_json(fastcam: Call) -> None:
    outcome = fastcam("doctor", "--json")
    found = json.loads(outcome.out)
    assert found["versions"]["fastcam"] == __version__
    assert outcome.code == bool(found["problems"])


def test_a_problem_is_an_exit_code(fastcam: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.Diagnosis, "problems", ("the moon is full; wait a day",))
    outcome = fastcam("doctor")
    assert outcome.code == 1
    assert "problem: the moon is full; wait a day" in outcome.err
