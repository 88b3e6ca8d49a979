"""How a long job reports its progress; the command line shows it."""

from __future__ import annotations

from typing import Protocol


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


class NoProgress:
    """A progress that shows nothing."""

    def note(self, text: str) -> None: ...
    def begin(self, what: str, total: int) -> None: ...
    def advance(self, count: int) -> None: ...
    def end(self) -> None: ...
