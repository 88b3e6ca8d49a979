"""What a campaign tried and what it found, as a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Trials and faults by kind.

    Attributes:
        trials: how many of each kind.
        faults: (kind, which trial it was, what went wrong).
    """

    trials: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, kind: str, fault: str, trial: str) -> None:
        """Count a trial; ``fault`` is empty where it went as it should."""
        self.trials[kind] += 1
        if fault:
            self.faults.append((kind, trial, fault))

    def table(self) -> str:
        """Markdown, a line for each kind."""
        counts = Counter(kind for kind, _, _ in self.faults)
        rows = [f"| {kind} | {n} | {counts[kind]} |" for kind, n in sorted(self.trials.items())]
        return "\n".join(["| what | trials | faults |", "|---|---:|---:|", *rows])
