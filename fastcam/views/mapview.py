"""What the views of maps begin with: which passes, whose attention, and the picture behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.spec import Style
from fastcam.views.choice import Query, query_of
from fastcam.views.panels import Backdrop, Interpolation, backdrop_of
from fastcam.views.subject import pass_on, subject_of

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.vitpass import VitPass


@dataclass(frozen=True, eq=False)
class MapView:
    """``passes``: one, or two to compare, and what captions of each begin with (``prefixes``);
    ``index``: the image in them; ``query``: whose attention; ``behind``: what maps are drawn on."""

    passes: tuple[VitPass, ...]
    prefixes: tuple[str, ...]
    index: int
    query: Query
    behind: Backdrop


def map_view(
    model_or_pass: nn.Module | VitPass,
    images: Any,
    pictures: Sequence[NDArray[np.uint8]] | None,
    index: int,
    query: int | tuple[int, int] | None,
    interpolation: Interpolation,
    compare: nn.Module | VitPass | None,
    labels: tuple[str, str],
    style: Style,
    side: int,
) -> MapView:
    """The arguments that these views share, checked. ``side``: pixels of a panel's longer side.

    Raises InputError as :func:`fastcam.views.attention_layers` says.
    """
    subject = subject_of(model_or_pass, images, pictures, index)
    vit = subject.vit
    asked = query_of(query, subject)
    behind = backdrop_of(subject.picture, vit.grid, asked.patch, interpolation, style, side)
    if compare is None:
        return MapView((vit,), ("",), subject.index, asked, behind)
    prefixes = tuple(f"{label} · " for label in labels)
    return MapView((vit, pass_on(compare, vit)), prefixes, subject.index, asked, behind)
