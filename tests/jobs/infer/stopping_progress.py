"""A run that is stopped in the middle."""

from __future__ import annotations


class StoppingProgress:
    """Progress that stops the run after some images or slices."""

    def __init__(self, after: int) -> None:
        self.left = after

    def note(self, text: str) -> None: ...
    def begin(self, what: str, total: int) -> None: ...
    def end(self) -> None: ...

    def advance(self, count: int) -> None:
        self.left -= count
        if self.left <= 0:
            raise KeyboardInterrupt
