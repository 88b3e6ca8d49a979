"""What the reports of all jobs do with failures: ``failures.csv``, exit codes, lines for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Protocol

from fastcam.errors import one_line
from fastcam.run.csv_cells import csv_row, original_record
from fastcam.run.files import write_text
from fastcam.run.records import LEVELS, Failure, Level

FAILURES = "failures.csv"
# Failures of each level that people are shown; the file has all.
_LISTED = 5
_COLUMNS = [field.name for field in fields(Failure)]
_row = attrgetter(*_COLUMNS)


class _HasFailures(Protocol):
    @property
    def failures(self) -> Sequence[Failure]: ...


class Report:
    """Base of the reports of jobs."""

    @property
    def troubles(self: _HasFailures) -> Sequence[Failure]:
        """``failures`` by the name that the Python functions document."""
        return self.failures


class FailureCounts:
    """Failures, each thing once, with all the figures that it costs."""

    def __init__(self) -> None:
        self._figures: dict[Failure, int] = {}

    def add(self, failures: Iterable[Failure]) -> None:
        """Add failures; those that differ in nothing but their figures are one."""
        for failure in failures:
            key = uncounted(failure)
            self._figures[key] = self._figures.get(key, 0) + failure.figures

    @property
    def failures(self) -> list[Failure]:
        """Each thing once, in the order in which they were added."""
        return [
            replace(failure, figures=count) if count else failure
            for failure, count in self._figures.items()
        ]


def uncounted(failure: Failure) -> Failure:
    """``failure`` whatever figures it costs, by which it is known as the same thing."""
    return replace(failure, figures=0) if failure.figures else failure


def exit_code(failures: Iterable[Failure], finished: bool) -> int:
    """0 without errors; 3 where a job finished but some failed; 1 where nothing was ``done``."""
    if not any(failure.level == "error" for failure in failures):
        return 0
    return 3 if finished else 1


def error_count(failures: Iterable[Failure]) -> int:
    """How many of them are errors."""
    return sum(failure.level == "error" for failure in failures)


def failure_line(failure: Failure) -> str:
    """``error: case slice 4: reason``, on one line; a case without a name is ``case 7`` by its
    place in the run."""
    case, reason = failure.case, failure.reason
    if not case.strip() and failure.place:
        case = f"case {failure.place}"
        reason = reason.removeprefix(f"{case}: ")
    case = case if failure.slice is None else f"{case} slice {failure.slice}"
    return one_line(f"{failure.level}: {case}: {reason}")


def failure_lines(failures: Sequence[Failure], output_dir: Path) -> list[str]:
    """The first errors and the first warnings, for people, and how many more the file lists."""
    lines = []
    for level in LEVELS:
        of_level = [failure for failure in failures if failure.level == level]
        lines += [failure_line(failure) for failure in of_level[:_LISTED]]
        if len(of_level) > _LISTED:
            rest = len(of_level) - _LISTED
            lines.append(f"{level}: and {rest} more in {output_dir / FAILURES}")
    return lines


def add_failures(failures: list[Failure], more: Iterable[Failure]) -> None:
    """Add ``more`` to ``failures``, each thing once, however many figures it costs."""
    present = set(map(uncounted, failures))
    failures += [failure for failure in more if uncounted(failure) not in present]


def write_failures(output_dir: Path, failures: Iterable[Failure]) -> None:
    """Write ``failures.csv``; without failures there is none."""
    rows = [csv_row(_row(failure)) for failure in failures]
    if not rows:
        (output_dir / FAILURES).unlink(missing_ok=True)
        return
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_COLUMNS, *rows])
    write_text(output_dir / FAILURES, text.getvalue())


def read_failures(output_dir: Path) -> list[Failure]:
    """What an earlier run wrote; empty where there is no file, or one that somebody edited."""
    try:
        text = (output_dir / FAILURES).read_text(encoding="utf-8")
        return [
            Failure(
                level=_level(row["level"]),
                place=int(row["place"]),
                case=row["case"],
                slice=int(row["slice"]) if row["slice"] else None,
                figures=int(row["figures"]),
                reason=row["reason"],
            )
            for row in map(original_record, csv.DictReader(io.StringIO(text)))
        ]
    except (OSError, KeyError, TypeError, ValueError, AttributeError):
        return []


def _level(text: str) -> Level:
    for level in LEVELS:
        if text == level:
            return level
    raise ValueError(text)
