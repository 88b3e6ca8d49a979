"""What ``fastcam vit`` is asked to draw."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastcam.attribution.request import Fusion
from fastcam.errors import InputError
from fastcam.figures.view_panels import Interpolation
from fastcam.jobs.explain.results import Head
from fastcam.options import Style

VIEWS = (
    "patch_grid",
    "position_embedding",
    "attention_layers",
    "all_heads",
    "attention_distance",
    "cls_evolution",
    "attention_rollout",
)


@dataclass(frozen=True, kw_only=True)
class ViewChoice:
    """Which views are drawn, and how.

    - ``views``: names of :data:`VIEWS`; empty for all that the model has
    - ``layers``: of ``attention_layers``; ``all_heads`` has the last of them
    - ``head``: of ``attention_layers``
    - ``query``: a patch's number, or a pixel (x, y) of the file
    - ``fusion``, ``discard_ratio`` and ``start_layer``: of ``attention_rollout``
    - ``prefix_tokens``: how many tokens come before the patches, CLS and registers; None counts
      them
    - ``output``: the name of the model's answer among what it returns; empty: it is found
    - ``interpolation``: of maps
    - ``labels``: what two models that are compared are called
    - ``style``: colors and sizes of all views
    """

    views: tuple[str, ...] = ()
    layers: tuple[int, ...] | None = None
    head: Head = "mean"
    query: int | tuple[int, int] | None = None
    fusion: Fusion = "mean"
    discard_ratio: float = 0.0
    start_layer: int = 0
    prefix_tokens: int | None = None
    output: str = ""
    interpolation: Interpolation = "bilinear"
    labels: tuple[str, str] = ("first", "second")
    style: Style = field(default_factory=Style)


def view_name(text: str) -> str:
    """A view by its name or its number, 1 to 7. InputError for another one."""
    if text.isdecimal() and 1 <= int(text) <= len(VIEWS):
        return VIEWS[int(text) - 1]
    if text in VIEWS:
        return text
    offer = ", ".join(f"{number} {view}" for number, view in enumerate(VIEWS, 1))
    raise InputError(f"--view {text!r} is not known: use a number or name of {offer}")


def file_name(view: str, suffix: str = "png") -> str:
    """``vis_1_patch_grid.png`` and so on."""
    return f"vis_{VIEWS.index(view) + 1}_{view}.{suffix}"
