"""What an export did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastcam.run.failures import FailureCounts, Report, exit_code, failure_lines
from fastcam.run.records import Failure
from fastcam.store.random_weights import RANDOM_WEIGHTS


@dataclass
class ExportReport(Report):
    """What an export did.

    Attributes:
        output_dir: the folder of the files.
        random_weights: whether the model's weights were those that it was made with.
        written: the files that this export wrote, relative to the folder.
        already: the files that an earlier export had written.
    """

    output_dir: Path
    random_weights: bool = False
    written: list[str] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    _failures: FailureCounts = field(default_factory=FailureCounts)

    def __repr__(self) -> str:
        return (
            f"<export to {self.output_dir}: {len(self.written)} files written, "
            f"{len(self.already)} already there, {self.failed} failed>"
        )

    def add_failure(self, place: int, case: str, reason: str) -> None:
        """Add that a map of a case failed; what several maps fail by counts once."""
        self._failures.add([Failure("error", place, case, None, 1, reason)])

    def add_warnings(self, place: int, case: str, warnings: Iterable[str]) -> None:
        """Add what is odd about the source of a case's maps, once."""
        self._failures.add(Failure("warning", place, case, None, 0, text) for text in warnings)

    @property
    def failures(self) -> list[Failure]:
        """What went wrong, each thing once, with the number of maps it cost."""
        return self._failures.failures

    @property
    def failed(self) -> int:
        """Maps that are not there."""
        return sum(failure.figures for failure in self.failures)

    @property
    def exit_code(self) -> int:
        """0 all done, 1 nothing but failures, 3 finished but some failed."""
        return exit_code(self.failures, bool(self.written or self.already))


def as_dict(report: ExportReport) -> dict[str, Any]:
    """The result that ``--json`` prints."""
    return {
        "output_dir": str(report.output_dir),
        "exit_code": report.exit_code,
        "random_weights": report.random_weights,
        "written": report.written,
        "already": report.already,
        "troubles": [
            {"level": f.level, "case": f.case, "reason": f.reason} for f in report.failures
        ],
    }


def summary_text(report: ExportReport) -> str:
    """What was written and what failed, for people."""
    count = len(report.written)
    parts = [f"{count} map{'s' * (count != 1)} written"]
    if report.already:
        parts.append(f"{len(report.already)} were there already")
    if report.failed:
        parts.append(f"{report.failed} failed")
    failures = failure_lines(report.failures, report.output_dir)
    remark = [RANDOM_WEIGHTS] if report.random_weights else []
    where = [f"maps: {report.output_dir}"] if report.written or report.already else []
    return "\n".join([", ".join(parts), *remark, *failures, *where])
