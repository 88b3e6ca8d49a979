"""TODO."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastcam.run.records import Failure
from fastcam.run.work_items import CaseSlices


@dataclass
class DrawPlan:
    """``portions`` are left to draw; ``planned`` figures were asked for, ``already`` are there."""

    portions: list[CaseSlices] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    planned: int = 0
    already: int = 0

    @property
    def left(self) -> int:
        """Figures still to be drawn."""
        return sum(len(portion.slices) for portion in self.portions)
