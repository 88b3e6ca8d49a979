"""What ``fastcam vit`` draws of a model, checked on the first pass before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from fastcam.attribution.attention.vit_pass import VitPass
from fastcam.errors import InputError
from fastcam.figures.notebook_figure import Figure
from fastcam.figures.panel_order import MAP_PANELS, panel_names
from fastcam.jobs.vit.position_embedding import REMEDY, position_embedding
from fastcam.jobs.vit.request import VIEWS, ViewChoice
from fastcam.jobs.vit.selection import check_fusion, check_head, layers_of
from fastcam.read.inputs.inputs import Item
from fastcam.run import file_names


@dataclass(frozen=True, eq=False)
class ViewPlan:
    """What is drawn.

    - ``views``: names of :data:`VIEWS`
    - ``position``: view 2, which is of the model alone; None where it isn't drawn
    """

    views: tuple[str, ...]
    position: Figure | None


def plan_views(
    model: nn.Module,
    compare: nn.Module | None,
    passes: Sequence[VitPass],
    choice: ViewChoice,
    log: Callable[[str], None],
    title: str = "",
) -> ViewPlan:
    """The views of ``choice`` that the models of ``passes`` can have; ``title`` is that of the view
    that is of the models alone.

    ``log`` gets a line for a view that they can't have, unless ``choice`` names it. InputError for
    such a view that is named, and for what is wrong with a choice whatever the image.
    """
    panel_names(MAP_PANELS, choice.style.panels)
    check_fusion(choice.fusion, choice.discard_ratio)
    layers = layers_of(choice.layers, passes[0])
    for vit in passes:
        check_head(choice.head, vit, layers)
    position = _position_figure(model, compare, choice, log, title)
    return ViewPlan(_possible_views(passes, choice, log), position)


def _position_figure(
    model: nn.Module,
    compare: nn.Module | None,
    choice: ViewChoice,
    log: Callable[[str], None],
    title: str,
) -> Figure | None:
    if choice.views and "position_embedding" not in choice.views:
        return None
    try:
        return position_embedding(
            model, compare=compare, labels=choice.labels, title=title, style=choice.style
        )
    except InputError as error:
        if choice.views:
            raise
        log(f"no view position_embedding: {str(error).removesuffix(REMEDY)}")
        return None


def _possible_views(
    passes: Sequence[VitPass], choice: ViewChoice, log: Callable[[str], None]
) -> tuple[str, ...]:
    """That of the CLS token only where there is one to follow."""
    reason = next((vit.no_cls for vit in passes if vit.cls is None), "")
    if choice.views or not reason:
        return choice.views or VIEWS
    log(f"no view cls_evolution: {reason}")
    return tuple(view for view in VIEWS if view != "cls_evolution")


def image_folders(items: Sequence[Item], output_dir: Path) -> list[Path]:
    """Where the figures of each image go: one image has them right in ``output_dir``."""
    if len(items) == 1:
        return [output_dir]
    return [output_dir / name for name in file_names.image_folders([item.id for item in items])]
