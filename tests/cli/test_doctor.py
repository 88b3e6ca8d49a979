"""``fastcam doctor``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from fastcam import __version__
from fastcam.jobs.inspect import doctor
from fastcam.jobs.inspect.model_libraries import LibraryState

Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing the real ones takes many seconds."""
    states = [LibraryState("timm", "1.0", True), LibraryState("monai", None)]
    monkeypatch.setattr(doctor, "library_states", lambda: states)


def test_libraries_and_whether_they_load(fastcam: Call) -> None:
    lines = [line.split() for line in fastcam("doctor").out.splitlines()]
    assert ["timm", "1.0"] in lines
    assert ["timm_loads", "yes"] in lines
    assert ["monai", "not", "installed", "(optional)"] in lines


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
