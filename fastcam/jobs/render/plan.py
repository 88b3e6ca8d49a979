"""TODO."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastcam.run.records import Trouble
from fastcam.run.work_items import Portion


@dataclass
class DrawPlan:
    """``portions`` are left to draw; ``planned`` figures were asked for, ``already`` are there."""

    portions: list[Portion] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    planned: int = 0
    already: int = 0

    @property
    def left(self) -> int:
        """Figures still to be drawn."""
        return sum(len(portion.slices) for portion in self.portions)
