"""View 1: the image cut into patches, each with its number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fastcam.attribution.attention.vit_pass import VitPass
from fastcam.figures.figure import Figure
from fastcam.figures.patch_grid import grid_figure
from fastcam.jobs.vit.subject import subject_of
from fastcam.options import Style


def patch_grid(
    model_or_pass: nn.Module | VitPass,
    images: Any = None,
    *,
    pictures: Sequence[NDArray[np.uint8]] | None = None,
    index: int = 0,
    title: str = "",
    style: Style | None = None,
) -> Figure:
    """The image with the patches' edges in red and each patch's number, row by row from 0.

    The number is what ``query`` of the other views takes; the patch's token has the tokens before
    the patches (CLS, registers) added. The picture is enlarged beyond the style's ``panel_size``
    until the numbers can be read. Arguments and errors are those of
    :func:`fastcam.views.attention_layers`.
    """
    subject = subject_of(model_or_pass, images, pictures, index)
    vit = subject.vit
    return grid_figure(subject.picture, vit.grid, vit.patch, vit.prefix, title, style)
