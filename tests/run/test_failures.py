"""What reports do with failures, on failures made by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fastcam.errors import CaseError, InputError
from fastcam.run.failures import (
    FAILURES,
    Report,
    add_failures,
    exit_code,
    failure_lines,
    read_failures,
    write_failures,
)
from fastcam.run.records import Failure, attempt

ERROR = Failure("error", 2, "患者\n2", 7, 1, "no such slice")
WARNING = Failure("warning", 1, "p1", None, 0, "odd")


@pytest.mark.parametrize(
    ("failures", "done", "code"),
    [([], False, 0), ([WARNING], False, 0), ([ERROR], True, 3), ([WARNING, ERROR], False, 1)],
)
def test_exit_codes(failures: list[Failure], done: bool, code: int) -> None:
    assert exit_code(failures, done) == code


def test_lines_list_errors_first_and_five_of_a_level() -> None:
    warnings = [Failure("warning", n, f"p{n}", None, 0, "odd") for n in range(7)]
    assert failure_lines([*warnings, ERROR], Path("out")) == [
        "error: 患者\\n2 slice 7: no such slice",
        *(f"warning: p{n}: odd" for n in range(5)),
        "warning: and 2 more in out/failures.csv",
    ]


def test_the_file_gives_back_what_was_written(tmp_path: Path) -> None:
    write_failures(tmp_path, [ERROR, WARNING])
    assert (tmp_path / FAILURES).read_text().splitlines()[0] == (
        "level,place,case,slice,figures,reason"
    )
    assert read_failures(tmp_path) == [ERROR, WARNING]
    write_failures(tmp_path, [])
    assert not (tmp_path / FAILURES).exists()
    assert read_failures(tmp_path) == []


def test_a_file_that_somebody_edited_counts_as_none(tmp_path: Path) -> None:
    write_failures(tmp_path, [ERROR])
    path = tmp_path / FAILURES
    path.write_text(path.read_text().replace("error", "fault"))
    assert read_failures(tmp_path) == []


def test_a_failure_is_added_once_whatever_it_costs() -> None:
    failures = [Failure("error", 1, "p", None, 3, "why")]
    add_failures(failures, [Failure("error", 1, "p", None, 9, "why"), WARNING])
    assert failures == [Failure("error", 1, "p", None, 3, "why"), WARNING]


def test_reports_have_their_failures_by_the_documented_name() -> None:
    @dataclass
    class Done(Report):
        failures: list[Failure] = field(default_factory=list)

    assert Done([ERROR]).troubles == [ERROR]


def test_attempts_return_the_reason() -> None:
    def fail(error: Exception) -> None:
        raise error

    assert attempt(lambda: None) is None
    assert attempt(lambda: fail(CaseError("bad"))) == "bad"
    assert attempt(lambda: fail(CaseError(""))) == ""
    assert attempt(lambda: fail(KeyError("x"))) == "unexpected KeyError: 'x'"
    with pytest.raises(InputError):
        attempt(lambda: fail(InputError("stop")))
