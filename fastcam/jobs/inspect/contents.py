"""What inspect finds in a file, a folder or a model: facts, a table, what is odd."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from fastcam.read.results.results import CaseWarning, RejectedCase


@dataclass(frozen=True)
class Inventory:
    """What a file or a store holds.

    - ``path``, ``kind``: which file, and of what kind
    - ``summary``: rows of (what, value)
    - ``columns``, ``table``: the heads of a table, and its rows
    - ``rejected``, ``warnings``: the cases of a results file that can't be used, and those with
      something odd
    - ``notes``: what is odd about a volume, a line each
    """

    path: str
    kind: str
    summary: list[tuple[str, str]]
    columns: tuple[str, ...] = ()
    table: list[tuple[Any, ...]] = field(default_factory=list)
    rejected: list[RejectedCase] = field(default_factory=list)
    warnings: list[CaseWarning] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dicts, text and numbers, ready for ``json.dumps``."""
        return {
            "path": self.path,
            "kind": self.kind,
            "summary": dict(self.summary),
            "table": [dict(zip(self.columns, row, strict=True)) for row in self.table],
            "rejected": [asdict(entry) for entry in self.rejected],
            "warnings": [asdict(entry) for entry in self.warnings],
            "notes": self.notes,
        }
