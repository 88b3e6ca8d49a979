"""What ``fastcam vit`` is asked to draw."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastcam.errors import InputError
from fastcam.figures.panels import Interpolation
from fastcam.jobs.vit.selection import Head
from fastcam.options import Style

if TYPE_CHECKING:
    from fastcam.attribution.request import Fusion

VIEWS = (
    "patch_grid",
    "position_embedding",
    "attention_layers",
    "all_heads",
    "attention_distance",
    "cls_evolution",
    "attention_rollout",
)


@dataclass(frozen=True)
class ViewChoice:
    """``views``: names of :data:`VIEWS`, empty for all that the model has. ``query`` (x, y): a
    pixel of the file. ``prefix_tokens``: CLS and registers, None to count them. The other fields
    are as in :func:`fastcam.views.attention_layers` and :func:`fastcam.views.attention_rollout`;
    ``all_heads`` shows the last of ``layers``."""

    views: tuple[str, ...] = ()
    layers: tuple[int, ...] | None = None
    head: Head = "mean"
    query: int | tuple[int, int] | None = None
    fusion: Fusion = "mean"
    discard_ratio: float = 0.0
    start_layer: int = 0
    prefix_tokens: int | None = None
    interpolation: Interpolation = "bilinear"
    labels: tuple[str, str] = ("first", "second")
    style: Style = field(default_factory=Style)


def view_name(text: str) -> str:
    """A view by its name or its number, 1 to 7. InputError for another one."""
    if text.isdecimal() and 1 <= int(text) <= len(VIEWS):
        return VIEWS[int(text) - 1]
    if text in VIEWS:
        return text
    offer = ", ".join(f"{at} {view}" for at, view in enumerate(VIEWS, 1))
    raise InputError(f"--view {text!r} is not known: use a number or name of {offer}")


def file_name(view: str) -> str:
    """``vis_1_patch_grid.png`` and so on."""
    return f"vis_{VIEWS.index(view) + 1}_{view}.png"
