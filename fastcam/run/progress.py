"""How a long job reports its progress; the command line shows it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


class Progress(Protocol):
    """What a job calls while it goes on."""

    def note(self, text: str) -> None:
        """A line for people."""

    def begin(self, what: str, total: int) -> None:
        """A stage of ``total`` steps begins; ``what`` names the steps."""

    def advance(self, count: int) -> None:
        """So many more steps are done."""

    def end(self) -> None:
        """The stage ends, done or not."""


@runtime_checkable
class CountsFailures(Protocol):
    """What a progress may have beside these."""

    def fail(self, count: int) -> None:
        """So many more have failed."""


def count_failures(progress: Progress, count: int) -> None:
    """Tell ``progress`` that ``count`` more have failed, if it counts them."""
    if count and isinstance(progress, CountsFailures):
        progress.fail(count)


class NoProgress:
    """A progress that shows nothing."""

    def note(self, text: str) -> None: ...
    def begin(self, what: str, total: int) -> None: ...
    def advance(self, count: int) -> None: ...
    def end(self) -> None: ...
