"""TODO."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastcam.errors import InputError
from fastcam.options import Language, Style

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class AnalysisChoice:
    """How an analysis looks. ``class_names`` in the order of the model's outputs; ``models`` what
    two models are called on figures; ``dpi`` stands in the PNG files, and changes no pixel."""

    style: Style = field(default_factory=lambda: Style(heat_alpha=0.7))
    dpi: float = 300.0
    language: Language = "en"
    class_names: tuple[str, ...] = ()
    models: tuple[str, str] = ("first", "second")
    workers: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.dpi <= 10000:
            raise InputError(f"--dpi {self.dpi}: must be 1 to 10000")


@dataclass(frozen=True)
class Subjects:
    """What is analysed: a model, described by name and checkpoint, and one to compare it with."""

    model: nn.Module
    described: dict[str, Any]
    other: nn.Module | None = None
    other_described: dict[str, Any] = field(default_factory=dict)
